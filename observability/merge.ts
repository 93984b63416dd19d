import { AggregatorRegistry } from 'prom-client';
import type { MetricObjectWithValues, MetricValue, MetricValueWithName, Registry } from 'prom-client';

/** One metric of a registry as prom-client writes it to JSON. */
export type MetricJson = MetricObjectWithValues<MetricValue<string>>;

/** Sums counters and histograms series by series; gauges as their aggregator says. */
export function mergeMetrics(snapshots: readonly (readonly MetricJson[])[]): Registry {
  return AggregatorRegistry.aggregate([...snapshots]);
}

/** A gauge tells how things are with a process that is there; of one that is gone nothing remains. */
export function withoutGauges(metrics: readonly MetricJson[]): MetricJson[] {
  return metrics.filter((metric) => !isGauge(metric));
}

/** In JSON the type is a word, whatever prom-client's types say. */
function isGauge({ type }: MetricJson): boolean {
  return (type as unknown) === 'gauge';
}

/** `current` without what `baseline` holds already; gauges as they are. */
export function countedSince(current: readonly MetricJson[], baseline: readonly MetricJson[]): MetricJson[] {
  // The usual case, and naming a thousand series every few seconds is felt by the requests that wait meanwhile.
  if (baseline.length === 0) return [...current];
  const before = new Map<string, number>();
  for (const metric of withoutGauges(baseline)) {
    for (const value of metric.values) before.set(seriesOf(metric, value), value.value);
  }
  return current.map((metric) => ({
    ...metric,
    values: metric.values.map((value) => ({
      ...value,
      value: value.value - (before.get(seriesOf(metric, value)) ?? 0),
    })),
  }));
}

/** Leaves out series at zero: whoever merges shows those itself. Of a histogram a series is kept whole or not at all. */
export function withoutZeros(metrics: readonly MetricJson[]): MetricJson[] {
  return metrics.flatMap((metric) => {
    const counting = new Set(
      metric.values.filter(({ value }) => value !== 0).map(({ labels }) => groupOf(labels)),
    );
    const values = isGauge(metric)
      ? metric.values
      : metric.values.filter(({ labels }) => counting.size > 0 && counting.has(groupOf(labels)));
    return values.length === 0 ? [] : [{ ...metric, values }];
  });
}

function seriesOf(metric: MetricJson, value: MetricValue<string>): string {
  const { metricName = metric.name } = value as Partial<MetricValueWithName<string>>;
  return `${metricName}${JSON.stringify(Object.entries(value.labels).sort())}`;
}

/** The labels of a series, without the bucket that tells the parts of a histogram apart. */
function groupOf(labels: MetricValue<string>['labels']): string {
  return JSON.stringify(
    Object.entries(labels)
      .filter(([name]) => name !== 'le')
      .sort(),
  );
}
