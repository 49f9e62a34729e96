package eks

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/periscope-console/periscope/internal/awsapi"
)

const page = "../../../docs/eks.md"

func read(t *testing.T, files ...string) string {
	t.Helper()
	var all strings.Builder
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(b)
	}
	return all.String()
}

// TestThePageQuotesWhatIsSaid: an operator searches it for the words at hand.
func TestThePageQuotesWhatIsSaid(t *testing.T) {
	said := read(t, "eks.go", "wallet.go", "../../awsapi/fault.go", "../../kube/fault.go")
	quotes := regexp.MustCompile(`(?m)^\| “([^”]+)”`).FindAllStringSubmatch(read(t, page), -1)
	if len(quotes) < 10 {
		t.Fatalf("the page quotes %d sentences", len(quotes))
	}
	for _, q := range quotes {
		if !strings.Contains(said, q[1]) {
			t.Errorf("nobody says %q", q[1])
		}
	}
}

func TestThePagesFigures(t *testing.T) {
	text := read(t, page)
	minutes := func(d time.Duration) string { return fmt.Sprintf("%d minutes", d/time.Minute) }
	for _, want := range []string{
		"every " + minutes(describeEvery) + ", behind", "serves for " + fmt.Sprintf("%d hours", describedStale/time.Hour),
		"after " + minutes(tokenRenew) + ", behind", "not sent after " + minutes(tokenLife), fmt.Sprintf("the %d users seen last", maxUsers),
		fmt.Sprintf("and %d are the most", maxName), "`" + sessionName("auth0|5f7c8ec7c33c6c004b") + "`",
		fmt.Sprintf("left alone for %d\nseconds", awsapi.Pause(nil)/time.Second),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// TestThePagesProofs: each test that it names is there.
func TestThePagesProofs(t *testing.T) {
	var tests strings.Builder
	for _, dir := range []string{".", "../../awsapi", "../../secret", "../../identity/oidc"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), "_test.go") {
				tests.WriteString(read(t, dir+"/"+e.Name()))
			}
		}
	}
	for _, name := range regexp.MustCompile("`(Test[A-Za-z]+)`").FindAllStringSubmatch(read(t, page), -1) {
		if !strings.Contains(tests.String(), "func "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
}
