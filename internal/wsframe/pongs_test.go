package wsframe

import (
	"testing"
	"testing/synctest"
)

// TestPongs: the newest ping is answered, by one goroutine at a time, however many
// come while the connection takes nothing; one that comes after that has its own.
func TestPongs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var pongs Pongs
		var answers []string
		turn := make(chan struct{})
		send := func() {
			<-turn
			answers = append(answers, string(pongs.Take(nil)))
		}
		hear := func(op Opcode, text string) {
			payload := []byte(text)
			pongs.Heard(op, payload, send)
			clear(payload) // it is the reader's
		}
		hear(Pong, "no ping")
		hear(Ping, "a longer first")
		for range 1000 {
			hear(Ping, "")
		}
		hear(Ping, "newest")
		turn <- struct{}{}
		synctest.Wait()
		select {
		case turn <- struct{}{}:
			t.Error("more than one was about to answer")
		default:
		}
		hear(Ping, "later")
		turn <- struct{}{}
		synctest.Wait()
		if len(answers) != 2 || answers[0] != "newest" || answers[1] != "later" {
			t.Errorf("%q", answers)
		}
	})
}
