import type { RouteApp } from '../app-type.ts';

/** The text that Prometheus scrapes, and its content type; built in `observability/`. */
export type RenderMetrics = () => Promise<{ contentType: string; body: string }>;

export function registerMetrics(app: RouteApp, render: RenderMetrics): void {
  for (const url of ['/metrics', '/api/v1/metrics']) {
    app.get(
      url,
      {
        config: { permission: 'read', mutates: false, unlimited: true },
        schema: { summary: 'Metrics of all processes, for Prometheus.', tags: ['service'] },
      },
      async (_request, reply) => {
        const { contentType, body } = await render();
        return reply.type(contentType).send(body);
      },
    );
  }
}
