package objects

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/periscope-console/periscope/internal/kube"
)

const (
	maxEvents = 200
	// readEvents is how many are sorted to find the newest: the apiserver
	// lists them by name, not by age.
	readEvents = 1000
)

// EventList is the answer of GET …/pods/{namespace}/{pod}/events.
type EventList struct {
	Events []Event `json:"events" doc:"Events, newest first"`
}

// Event is something that happened to a pod.
type Event struct {
	UID       string     `json:"uid" doc:"Id of the event"`
	Container string     `json:"container" doc:"The container that it happened to; empty where it is the pod, or not known"`
	Type      string     `json:"type" doc:"Normal or Warning"`
	Reason    string     `json:"reason" doc:"Reason in one word"`
	Message   string     `json:"message" doc:"What happened"`
	Count     int        `json:"count" doc:"How often"`
	FirstSeen *time.Time `json:"firstSeen" doc:"First time"`
	LastSeen  *time.Time `json:"lastSeen" doc:"Last time"`
	Source    string     `json:"source" doc:"Who reported it"`
}

// PodEvents lists what happened to this very pod, not to an earlier one of its
// name.
func PodEvents(ctx context.Context, c *kube.Client, namespace, name string) (EventList, error) {
	p, err := Get(ctx, c, namespace, name)
	if err != nil {
		return EventList{}, err
	}
	list, err := c.Core.Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("involvedObject.uid", string(p.UID)).String(),
		Limit:         readEvents,
	})
	if err != nil {
		return EventList{}, c.Fault(err, "objects.PodEvents", "list the events of pod "+name+" of "+place(namespace))
	}
	return EventList{Events: newest(list.Items)}, nil
}

func newest(items []corev1.Event) []Event {
	out := make([]Event, 0, len(items))
	for i := range items {
		out = append(out, eventOf(&items[i]))
	}
	slices.SortStableFunc(out, func(a, b Event) int { return cmp.Compare(unix(b.LastSeen), unix(a.LastSeen)) })
	return out[:min(len(out), maxEvents)]
}

func unix(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixNano()
}

// eventOf reads both generations of the API: counts of the older one, series
// of the newer.
func eventOf(e *corev1.Event) Event {
	micro := metav1.Time{Time: e.EventTime.Time}
	out := Event{
		UID: string(e.UID), Container: containerAt(e.InvolvedObject.FieldPath),
		Type: e.Type, Reason: e.Reason, Message: e.Message, Count: max(int(e.Count), 1),
		FirstSeen: firstOf(e.FirstTimestamp, micro, e.CreationTimestamp),
		LastSeen:  firstOf(e.LastTimestamp, micro, e.CreationTimestamp),
		Source:    cmp.Or(e.Source.Component, e.ReportingController),
	}
	if e.Series != nil {
		out.Count = max(int(e.Series.Count), 1)
		out.LastSeen = firstOf(metav1.Time{Time: e.Series.LastObservedTime.Time}, micro, e.CreationTimestamp)
	}
	return out
}

// ofContainer is how kubelets name a container of a pod, of whichever kind. An
// event may say anything there.
var ofContainer = regexp.MustCompile(`^spec\.(?:c|initC|ephemeralC)ontainers\{([a-z0-9-]{1,63})\}$`)

func containerAt(fieldPath string) string {
	if m := ofContainer.FindStringSubmatch(fieldPath); m != nil {
		return m[1]
	}
	return ""
}

func firstOf(times ...metav1.Time) *time.Time {
	for _, t := range times {
		if s := stamp(t); s != nil {
			return s
		}
	}
	return nil
}
