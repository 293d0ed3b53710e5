// Renders the samples of a page with client_golang: a collector of constant metrics, as exporters in Go have it.
//
// scrape PAGE ROUNDS prints the milliseconds of each rendering; scrape PAGE serve ADDRESS serves promhttp's /metrics.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

type sample struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	value  float64
	labels []string
}

type collector struct{ samples []sample }

func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(out chan<- prometheus.Metric) {
	for _, s := range c.samples {
		out <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value, s.labels...)
	}
}

func read(path string) *collector {
	file, err := os.Open(path)
	if err != nil {
		panic(err)
	}
	defer file.Close()
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(file)
	if err != nil {
		panic(err)
	}
	found := &collector{}
	for name, family := range families {
		found.add(name, family)
	}
	return found
}

// add takes gauges and counters; the few histograms are left out.
func (c *collector) add(name string, family *dto.MetricFamily) {
	var desc *prometheus.Desc
	for _, metric := range family.Metric {
		var names, values []string
		for _, pair := range metric.Label {
			names, values = append(names, pair.GetName()), append(values, pair.GetValue())
		}
		if desc == nil {
			desc = prometheus.NewDesc(name, family.GetHelp(), names, nil)
		}
		switch family.GetType() {
		case dto.MetricType_GAUGE:
			c.samples = append(c.samples, sample{desc, prometheus.GaugeValue, metric.GetGauge().GetValue(), values})
		case dto.MetricType_COUNTER:
			c.samples = append(c.samples, sample{desc, prometheus.CounterValue, metric.GetCounter().GetValue(), values})
		}
	}
}

func render(registry *prometheus.Registry) int {
	families, err := registry.Gather()
	if err != nil {
		panic(err)
	}
	var out bytes.Buffer
	encoder := expfmt.NewEncoder(&out, expfmt.FmtText)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			panic(err)
		}
	}
	return out.Len()
}

func main() {
	registry := prometheus.NewRegistry()
	registry.MustRegister(read(os.Args[1]))
	if os.Args[2] == "serve" {
		handler := promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
		http.Handle("/metrics", handler)
		panic(http.ListenAndServe(os.Args[3], nil))
	}
	rounds, _ := strconv.Atoi(os.Args[2])
	render(registry)
	for round := 0; round < rounds; round++ {
		began := time.Now()
		render(registry)
		fmt.Printf("%.3f\n", float64(time.Since(began).Microseconds())/1000)
	}
}
