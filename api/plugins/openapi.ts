import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { jsonSchemaTransform, validatorCompiler } from 'fastify-type-provider-zod';

const DOCUMENT_MAX_AGE_S = 60;

/**
 * Validates parameters by their zod schemas and describes every route as OpenAPI 3.1 at `/openapi.json`. Answers are
 * typed by their schemas at compile time and not checked again when they are sent.
 */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  app.setValidatorCompiler((route) =>
    // Bodies are bytes here (body.ts); their schemas are for the document.
    route.httpPart === 'body' ? (value: unknown) => ({ value }) : validatorCompiler(route as never),
  );
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Beacon',
        version,
        description: 'Signed jobs in, signed receipts in a public Merkle log out.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: {
        securitySchemes: {
          operator: { type: 'http', scheme: 'bearer', description: "The operator's token." },
        },
      },
    },
    transform: jsonSchemaTransform,
  });
  app.get(
    '/openapi.json',
    { config: { permission: 'read', mutates: false }, schema: { hide: true } },
    async (_request, reply) =>
      reply.header('cache-control', `max-age=${DOCUMENT_MAX_AGE_S}`).send(app.swagger()),
  );
}
