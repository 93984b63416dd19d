import { stored } from '../../openapi/route-schema.ts';
import type { RouteApp } from '../app-type.ts';

/** The text that Prometheus scrapes, and its content type; built in `observability/`. */
export type RenderMetrics = () => Promise<{ contentType: string; body: string }>;

export function registerMetrics(app: RouteApp, render: RenderMetrics): void {
  const urls = { getMetrics: '/metrics', getMetricsV1: '/api/v1/metrics' };
  for (const [operationId, url] of Object.entries(urls)) {
    app.get(
      url,
      {
        config: { permission: 'read', mutates: false, unlimited: true },
        schema: {
          operationId,
          summary: 'Metrics of all processes, for Prometheus.',
          tags: ['service'],
          response: { 200: stored('text/plain', 'The text format of Prometheus (docs/observability.md).') },
        },
      },
      async (_request, reply) => {
        const { contentType, body } = await render();
        return reply.type(contentType).send(body);
      },
    );
  }
}
