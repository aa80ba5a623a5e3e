package subscription

import (
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
)

// maxNews bounds how many versions are told of at once, and how many are done before the status says so.
const maxNews = 100

// held is what a status is to say, where that can wait: a round over many versions would write a long list for each of them. Nothing
// is lost with it, as what was copied is found at the destination.
type held struct {
	// status is the one that is to be written; it is nil when there is none.
	status *v1alpha1.ComponentSubscriptionStatus
	// news are the versions that no event has told of.
	news []news
	// base is the status that the object of this reconciliation had, which is seen.
	base *v1alpha1.ComponentSubscriptionStatus
	seen *v1alpha1.ComponentSubscription
}

// news is a version that came to where it is wanted.
type news struct {
	version string
	// lost is what the destination had lost.
	lost                string
	blobs, copied, sent int64
}

// resume lets an object say what was held back.
func (h *held) resume(obj *v1alpha1.ComponentSubscription) {
	if h.seen != obj {
		h.seen, h.base = obj, obj.Status.DeepCopy()
	}
	if h.status == nil {
		return
	}
	h.status.CommonStatus = obj.Status.CommonStatus
	obj.Status, h.status = *h.status, nil
}

// holdBack takes back what this reconciliation would write, for a later one.
func (h *held) holdBack(obj *v1alpha1.ComponentSubscription) {
	if h.base == nil {
		return
	}
	status := obj.Status
	obj.Status, h.status = *h.base, &status
	h.seen, h.base = nil, nil
}

// urgent tells whether the status has what can't wait: which version is in use, and whether it is proven.
func (h *held) urgent(now *v1alpha1.ComponentSubscriptionStatus) bool {
	if h.base == nil {
		return true
	}
	return now.ReplicatedVersion != h.base.ReplicatedVersion || now.ReplicatedDigest != h.base.ReplicatedDigest || now.Verified != h.base.Verified
}

// publish emits the events about what was done: one, however many versions came.
func (r *run) publish() {
	all := r.memory.news
	r.memory.news = nil
	var came, mended []news
	for _, n := range all {
		if n.lost != "" {
			mended = append(mended, n)
			continue
		}
		came = append(came, n)
	}
	if r.obj.Spec.Destination == nil {
		r.tellOf(came, func(what string) string { return fmt.Sprintf("Accepted %s of %s", what, r.source.URL()) })
		return
	}
	r.tellOf(came, func(what string) string {
		return fmt.Sprintf("Replicated %s to %s: %s", what, r.target(), counts(came))
	})
	r.tellOf(mended, func(what string) string {
		lost := mended[0].lost
		if len(mended) > 1 {
			lost += " and more"
		}
		return fmt.Sprintf("Repaired %s at %s, which had lost %s: %s", what, r.target(), lost, counts(mended))
	})
}

func (r *run) tellOf(all []news, text func(what string) string) {
	switch last := len(all) - 1; {
	case last < 0:
	case last == 0:
		r.events.Normal(r.obj, meta.SucceededReason, text("version "+all[0].version))
	default:
		r.events.Normal(r.obj, meta.SucceededReason, text(fmt.Sprintf("%d versions, %s to %s,", len(all), all[0].version, all[last].version)))
	}
}

// counts says how much was sent.
func counts(all []news) string {
	var sum news
	for _, n := range all {
		sum.blobs, sum.copied, sum.sent = sum.blobs+n.blobs, sum.copied+n.copied, sum.sent+n.sent
	}
	return fmt.Sprintf("%d of %d blobs were sent, with %d bytes", sum.copied, sum.blobs, sum.sent)
}
