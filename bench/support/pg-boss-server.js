/** The peer of `bench:submit`: pg-boss `send` behind the same route, without signatures, checks and receipts. */
import Fastify from 'fastify';
import PgBoss from 'pg-boss';

const QUEUE = 'jobs';
const boss = new PgBoss({
  connectionString: process.env.DATABASE_URL,
  max: Number(process.env.DATABASE_POOL),
  application_name: 'pg-boss',
  // Nothing but `send` is compared.
  supervise: false,
  schedule: false,
});
boss.on('error', (error) => console.error(error));
await boss.start();
await boss.createQueue(QUEUE);

const app = Fastify({ logger: false, bodyLimit: 1024 * 1024 });
app.post('/api/v1/jobs', async (request, reply) => {
  const id = await boss.send(QUEUE, request.body);
  return reply.code(202).send({ id, status: 'enqueued' });
});
const url = await app.listen({ host: '127.0.0.1', port: 0 });
process.send?.({ ready: true, url });
process.once('SIGTERM', () => process.exit(0));
process.once('disconnect', () => process.exit(0));
