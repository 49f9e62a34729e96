package main

import (
	"math"
	"slices"
)

// quantile is the value that q of all values do not exceed (nearest rank). It is
// NaN of nothing.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[min(max(rank, 0), len(sorted)-1)]
}

// median is the middle value, or the mean of the two in the middle.
func median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is a median with the least and the greatest value.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	return spread{median(values), slices.Min(values), slices.Max(values)}
}

// ratios divides pair by pair: what one pair's noise did to both cancels out.
func ratios(ours, reference []float64) []float64 {
	out := make([]float64, 0, len(ours))
	for i := range min(len(ours), len(reference)) {
		out = append(out, ours[i]/reference[i])
	}
	return out
}
