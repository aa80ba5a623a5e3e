package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ErrNoCompiler says that a program has parts in C, and that this machine can't compile them.
var ErrNoCompiler = errors.New("it needs a C compiler and the C library's headers, and they are not installed (Debian: apt-get install gcc libc6-dev)")

// findCompiler looks for the C compiler that the go command would call, before that downloads anything.
func (b *builder) findCompiler(ctx context.Context, tracker *tracker) error {
	out, err := b.goCommand(ctx, tracker, "env", "CC")
	if err != nil {
		return err
	}
	words := strings.Fields(string(out))
	if len(words) == 0 {
		return ErrNoCompiler
	}
	// A compiler without the C library, as some packages install it, is none.
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], "-x", "c", "-fsyntax-only", "-")...)
	cmd.Stdin = strings.NewReader("#include <stdlib.h>\n")
	complaints, err := cmd.CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w %s", ErrNoCompiler, err, bytes.TrimSpace(complaints))
	}
	return nil
}

// keepStatic keeps what the program reads beside it, so that it runs where the module is not downloaded.
func (b *builder) keepStatic(ctx context.Context, tracker *tracker, dir string) error {
	if len(b.module.static) == 0 {
		return nil
	}
	out, err := b.goCommand(ctx, tracker, "list", "-m", "-f", "{{.Dir}}", b.module.pkg)
	if err != nil {
		return err
	}
	from := strings.TrimSpace(string(out))
	for _, folder := range b.module.static {
		if err := os.CopyFS(filepath.Join(dir, staticFolder, folder), os.DirFS(filepath.Join(from, folder))); err != nil {
			return fmt.Errorf("copy %s of %s: %w", folder, b.module.pkg, err)
		}
	}
	return nil
}
