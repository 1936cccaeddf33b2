package main

import (
	"fmt"
	"html"
	"strings"
)

const (
	width, left, right = 900, 250, 230
	bar, gap           = 18, 10
)

// draw makes an SVG of the figures. Shorter bars are better.
func draw(r *Report) string {
	var b strings.Builder
	y := 92
	body := &strings.Builder{}
	most := 0.0
	for _, call := range r.Calls {
		most = larger(most, call.Nanoseconds)
	}
	for _, call := range r.Calls {
		label := fmt.Sprintf("%.0f ns  (%.2f × map)", call.Nanoseconds, call.Ratio)
		if call.Over != nil {
			label = fmt.Sprintf("%.0f ns  (C call %+.0f, %.2f × map)", call.Nanoseconds, *call.Over, call.Ratio)
		}
		row(body, y, call.Name, label, call.Nanoseconds/most, call.Over != nil)
		y += bar + gap
	}
	y += 26
	words(body, 16, y, "note", "start", "net/http: processor time of the server for a request")
	y += 14
	most = 0
	for _, server := range r.HTTP {
		most = larger(most, server.Microseconds)
	}
	for _, server := range r.HTTP {
		label := fmt.Sprintf("%.1f µs  (%+.1f %%)", server.Microseconds, 100*(server.Ratio-1))
		if server.Ratio == 1 {
			label = fmt.Sprintf("%.1f µs", server.Microseconds)
		}
		row(body, y, server.Name, label, server.Microseconds/most, strings.Contains(server.Name, "keyward"))
		y += bar + gap
	}
	y += 22
	words(body, 16, y, "note", "start", fmt.Sprintf("%s; medians of %d rounds, the contenders taking turns", r.Go, r.Rounds))
	height := y + 16
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img">`+"\n", width, height, width, height)
	b.WriteString("<title>What a check of a key costs in Go</title>\n")
	b.WriteString("<style>text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}" +
		".title{font-size:15px;font-weight:600}.note{fill:#59636e;font-size:12px}.ours{font-weight:600}</style>\n")
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	words(&b, 16, 26, "title", "start", "What a check of a key costs in Go")
	words(&b, 16, 46, "note", "start", "the map knows the key and nothing else; keyward checks form, status, dates, environment, route and scopes as well")
	words(&b, 16, 76, "note", "start", fmt.Sprintf("processor time of a check, %s keys, each asked in turn; shorter is better", thousands(r.Keys)))
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

func row(b *strings.Builder, y int, name, label string, share float64, ours bool) {
	style, colour := "", "#9fc3dc"
	if ours {
		style, colour = "ours", "#2f6f9f"
	}
	words(b, left-10, y+13, style, "end", name)
	long := share * (width - left - right)
	fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", left, y, long, bar-1, colour)
	words(b, int(left+long)+6, y+13, "note", "start", label)
}

func words(b *strings.Builder, x, y int, style, anchor, text string) {
	fmt.Fprintf(b, `<text x="%d" y="%d" class="%s" text-anchor="%s">%s</text>`+"\n", x, y, style, anchor, html.EscapeString(text))
}

func larger(a, b float64) float64 {
	if a > b {
		return a
	}
	return b
}

func thousands(number int) string {
	text := fmt.Sprint(number)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
