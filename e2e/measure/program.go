package measure

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// Program is a command that measures: its flags, its parts, and the document that its report is kept in.
type Program struct {
	// Name is that of the command, which is a folder of e2e, and Target how users call it.
	Name, Target string
	// Longest bounds a run; nothing may hang.
	Longest time.Duration
	// Parts are what it measures, one after the other.
	Parts []Part
	// World makes the world of a part. Its folder and its servers go when the part ends.
	World func() *World
	// Report is what has been measured. It is filled by the parts.
	Report Report
	// Quick makes everything tiny.
	Quick func()
	// Flags are flags of its own, Begin prepares a run when all flags are known, and Children are what it does as a process of its
	// own, by its first argument, beside serving. Each may be missing.
	Flags    func(*flag.FlagSet)
	Begin    func() error
	Children map[string]func(context.Context) error

	// Seed is what all content is made of.
	Seed uint64
	// Progress is told how it goes.
	Progress io.Writer
}

// Part is a group of measurements over a folder and servers of its own.
type Part struct {
	// Name is how users choose it.
	Name string
	// Run measures.
	Run func(context.Context, *World) error
}

// Main is the life of the program. It does not return when something goes wrong.
func (p *Program) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := p.run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, p.Name+":", err)
		os.Exit(1)
	}
}

// IsChild tells whether arguments are those of a process that the program has started itself. Its tests have to call Main then.
func (p *Program) IsChild(args []string) bool {
	return len(args) > 0 && (args[0] == ServeCommand || p.Children[args[0]] != nil)
}

func (p *Program) run(ctx context.Context, args []string) error {
	if p.IsChild(args) {
		if args[0] == ServeCommand {
			return Serve(ctx, args[1:])
		}
		return p.Children[args[0]](ctx)
	}
	p.Progress = os.Stderr
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	dir := flags.String("dir", "", "folder on the filesystem to measure; default is the one for temporary files")
	only := flags.String("only", strings.Join(p.names(), ","), "parts to run")
	flags.Uint64Var(&p.Seed, "seed", 1, "what the content is made of")
	small := flags.Bool("quick", false, "tiny sizes: shows that everything works, and measures nothing")
	write := flags.String("write", "", "document to write the result into, between the marks there")
	if p.Flags != nil {
		p.Flags(flags)
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *small {
		p.Quick()
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Longest, fmt.Errorf("all took more than %s", p.Longest))
	defer cancel()
	machine, begin := DescribeMachine(), time.Now()
	if err := p.Measure(ctx, *dir, strings.Split(*only, ",")...); err != nil {
		return err
	}
	command := strings.TrimSpace("go run ./e2e/" + p.Name + " " + strings.Join(args, " "))
	text := Head(command, machine, begin, time.Since(begin), p.Seed) + p.Report.Markdown()
	fmt.Println(text)
	if *write == "" {
		return nil
	}
	return Keep(*write, p.Target, text)
}

// Measure runs parts, all when none is named: what one part has left to the disk shall not weigh on the next.
func (p *Program) Measure(ctx context.Context, parent string, names ...string) (err error) {
	chosen, err := p.choose(names)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(parent, p.Name+"-")
	if err != nil {
		return fmt.Errorf("create a folder to measure in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if p.Begin != nil {
		if err := p.Begin(); err != nil {
			return err
		}
	}
	p.Report.Say = p.Say
	for _, part := range chosen {
		fmt.Fprintln(p.Progress, "--- "+part.Name)
		if err := p.measure(ctx, dir, part); err != nil {
			return fmt.Errorf("%s: %w", part.Name, err)
		}
	}
	return nil
}

func (p *Program) measure(ctx context.Context, dir string, part Part) (err error) {
	w := p.World()
	w.Progress = p.Progress
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := w.Prepare(dir); err != nil {
		return err
	}
	return part.Run(ctx, w)
}

func (p *Program) names() []string {
	var names []string
	for _, part := range p.Parts {
		names = append(names, part.Name)
	}
	return names
}

func (p *Program) choose(names []string) ([]Part, error) {
	if len(names) == 0 {
		return p.Parts, nil
	}
	var chosen []Part
	for _, name := range names {
		found := false
		for _, part := range p.Parts {
			if part.Name == name {
				chosen, found = append(chosen, part), true
			}
		}
		if !found {
			return nil, fmt.Errorf("no part is called %q; there are %s", name, strings.Join(p.names(), ", "))
		}
	}
	return chosen, nil
}

// Say tells how it goes.
func (p *Program) Say(format string, args ...any) {
	fmt.Fprintln(p.Progress, "   ", strings.TrimSpace(fmt.Sprintf(format, args...)))
}
