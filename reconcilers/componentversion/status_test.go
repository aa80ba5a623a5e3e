package componentversion

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/verify"
)

// TestUnprotectedFitsIntoTheStatus: what it lists comes out of component versions, which may say anything.
func TestUnprotectedFitsIntoTheStatus(t *testing.T) {
	t.Parallel()
	resource := func(name string, identity map[string]string) verify.Unprotected {
		return verify.Unprotected{
			Component: "acme.org/app", Version: "1.0.0", Resource: descriptor.Element{Name: name, Version: "1.0.0", ExtraIdentity: identity}, Why: verify.Excluded,
		}
	}
	if got := unprotected(nil); got != nil {
		t.Errorf("nothing is %v, want nil, which is what the API server keeps", got)
	}
	sorted := unprotected([]verify.Unprotected{
		resource("b", nil), resource("a", map[string]string{"os": "linux"}), resource("a", map[string]string{"os": "darwin"}), resource("b", nil),
	})
	var names []string
	for _, r := range sorted {
		names = append(names, r.Name+fmt.Sprint(r.ExtraIdentity))
	}
	if diff := cmp.Diff([]string{"amap[os:darwin]", "amap[os:linux]", "bmap[]"}, names); diff != "" {
		t.Errorf("sorted (-want +got):\n%s", diff)
	}
	var many []verify.Unprotected
	attributes := map[string]string{}
	for i := range 300 {
		attributes[strconv.Itoa(i)] = ""
		many = append(many, resource(strings.Repeat("é", 1024)+strconv.Itoa(i), attributes))
	}
	got := unprotected(many)
	if len(got) != 1 || len(got[0].Name) > 1024 || len(got[0].ExtraIdentity) > 64 {
		t.Errorf("%d resources, want equal ones once", len(got))
	}
	for i := range many {
		many[i] = resource(strconv.Itoa(i), nil)
	}
	if got := unprotected(many); len(got) != 256 {
		t.Errorf("%d resources, want 256", len(got))
	}
	for i := range many {
		many[i] = resource(strconv.Itoa(i), map[string]string{"key": strings.Repeat("v", 4000)})
	}
	if text, err := json.Marshal(unprotected(many)); err != nil || len(text) < 60<<10 || len(text) > 70<<10 {
		t.Errorf("identities of 4,000 bytes take %d bytes, %v, want about 64 KiB", len(text), err)
	}
	if got := unprotected([]verify.Unprotected{resource("a", map[string]string{"key": strings.Repeat("v", 5000)})}); got[0].ExtraIdentity != nil {
		t.Errorf("an identity of 5,000 bytes is kept")
	}
}

// TestAcceptedVersionsAreBounded: the latest ones are remembered.
func TestAcceptedVersionsAreBounded(t *testing.T) {
	t.Parallel()
	cv := &v1alpha1.ComponentVersion{}
	cv.Spec.Component, cv.Spec.Repository.URL = "acme.org/app", "registry.example.com"
	for i := range 40 {
		r := &run{obj: cv}
		version := fmt.Sprintf("1.%d.0", i)
		cv.Status.AcceptedVersions = r.remember(v1alpha1.AcceptedVersion{Version: version, ManifestDigest: "sha256:" + version})
		cv.Status.ReplicatedRepositoryURL, cv.Status.ReconciledVersion, cv.Status.ManifestDigest = "registry.example.com", version, "sha256:"+version
		cv.Status.ComponentDescriptor = &v1alpha1.Reference{Name: "acme.org/app"}
	}
	got := cv.Status.AcceptedVersions
	if len(got) != maxAccepted || got[0].Version != "1.8.0" || got[31].Version != "1.39.0" {
		t.Errorf("%d are accepted: %+v", len(got), got)
	}
	again := (&run{obj: cv}).remember(v1alpha1.AcceptedVersion{Version: "1.39.0", ManifestDigest: "sha256:1.39.0"})
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("the same version again (-want +got):\n%s", diff)
	}
	back := (&run{obj: cv}).remember(v1alpha1.AcceptedVersion{Version: "1.8.0", ManifestDigest: "sha256:1.8.0"})
	if len(back) != maxAccepted || back[31].Version != "1.8.0" || back[0].Version != "1.9.0" {
		t.Errorf("an old version again is %+v", back)
	}
}

// TestLongVerificationsShowProgress: what is soon done says nothing.
func TestLongVerificationsShowProgress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		every time.Duration
		want  []string
	}{
		"long":  {0, []string{"Verifying version 1.0.0: checked 3 of 7 resources in 2 component versions so far"}},
		"short": {time.Hour, nil},
	} {
		var logged []string
		sink := funcr.NewJSON(func(line string) {
			var fields struct {
				Msg string `json:"msg"`
			}
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				t.Errorf("log line %q: %v", line, err)
			}
			logged = append(logged, fields.Msg)
		}, funcr.Options{})
		progress(ctrl.LoggerInto(t.Context(), sink), "1.0.0", tc.every)(verify.Progress{Versions: 2, Resources: 7, Checked: 3})
		if diff := cmp.Diff(tc.want, logged); diff != "" {
			t.Errorf("%s: log (-want +got):\n%s", name, diff)
		}
	}
}
