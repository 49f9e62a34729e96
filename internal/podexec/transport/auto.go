package transport

import (
	"context"

	"k8s.io/client-go/rest"
)

// autoDialer tries a second wire protocol where the first is not spoken.
type autoDialer struct{ first, second Dialer }

func (d *autoDialer) Dial(ctx context.Context, cfg *rest.Config, req Request) (Stream, error) {
	s, err := d.first.Dial(ctx, cfg, req)
	if IsUpgradeFailure(err) {
		return d.second.Dial(ctx, cfg, req)
	}
	return s, err
}
