package secrets

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reader returns what objects read Secrets and ServiceAccounts through, which is a reader past the cache. It notes what is read: of a Secret
// the state, of a ServiceAccount the names of the Secrets that it pulls with.
func (l *Lookout) Reader(live client.Reader) client.Reader {
	if l == nil {
		return live
	}
	return &reader{Reader: live, book: l.book}
}

// Client returns the same for who creates and updates Secrets besides.
func (l *Lookout) Client(live client.Client) client.Client {
	if l == nil {
		return live
	}
	return &readWriter{Client: live, reader: reader{Reader: live, book: l.book}}
}

type readWriter struct {
	client.Client
	reader reader
}

// Get implements client.Reader.
func (r *readWriter) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return r.reader.Get(ctx, key, obj, opts...)
}

// Create implements client.Writer.
func (r *readWriter) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	asked := r.reader.book.now()
	return r.wrote(obj, asked, r.Client.Create(ctx, obj, opts...))
}

// Update implements client.Writer.
func (r *readWriter) Update(ctx context.Context, obj client.Object, opts ...client.UpdateOption) error {
	asked := r.reader.book.now()
	return r.wrote(obj, asked, r.Client.Update(ctx, obj, opts...))
}

// wrote notes what a Secret has become. Otherwise one that is deleted before it is looked at would seem never to have been.
func (r *readWriter) wrote(obj client.Object, asked time.Time, err error) error {
	if written, ok := obj.(*corev1.Secret); ok && err == nil {
		r.reader.book.read(client.ObjectKeyFromObject(written), stateOf(written), asked)
	}
	return err
}

type reader struct {
	client.Reader
	book *book
}

// Get implements client.Reader.
func (r *reader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	asked := r.book.now()
	err := r.Reader.Get(ctx, key, obj, opts...)
	gone := apierrors.IsNotFound(err)
	if err != nil && !gone {
		return err
	}
	is := state{}
	if !gone {
		is = stateOf(obj)
	}
	switch o := obj.(type) {
	case *corev1.Secret:
		r.book.read(key, is, asked)
	case *metav1.PartialObjectMetadata:
		if o.GroupVersionKind() == corev1.SchemeGroupVersion.WithKind("Secret") {
			r.book.read(key, is, asked)
		}
	case *corev1.ServiceAccount:
		var pulls []string
		if !gone {
			for _, pull := range o.ImagePullSecrets {
				pulls = append(pulls, pull.Name)
			}
		}
		r.book.pulls(key, pulls)
	}
	return err
}
