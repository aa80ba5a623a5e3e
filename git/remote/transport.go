package remote

import (
	"context"
	"io"
)

// Services of a server.
const (
	uploadPack  = "git-upload-pack"
	receivePack = "git-receive-pack"
)

// body is what is sent: a reader, which is closed by whoever gets it, and its size, negative if that is not known. It is
// called again where a request has to be sent again.
type body func() (io.ReadCloser, int64, error)

// transport opens conversations with the server.
type transport interface {
	// open begins a conversation and reads what the server has.
	open(ctx context.Context, service string) (conversation, error)
	// resume begins one where what the server can do is known already, if the protocol has no need to hear it again.
	resume(ctx context.Context, service string, known capabilities) (conversation, error)
	// close ends connections that are kept.
	close()
}

// conversation is one request to a service.
type conversation interface {
	// advertised is what the server has. Its refs are unknown where the conversation was resumed.
	advertised() *advertisement
	// ask sends the request and returns the answer, at most once.
	ask(ctx context.Context, request body) (io.ReadCloser, error)
	// explain makes a better error of an answer that ended early, if the server has said why.
	explain(err error) error
	// close ends the conversation.
	close()
}
