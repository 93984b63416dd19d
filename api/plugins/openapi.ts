import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { validatorCompiler } from 'fastify-type-provider-zod';
import { description, describeRoute, finishDocument, introduction } from '../openapi/document.ts';

/**
 * Validates parameters by their zod schemas and describes every route as OpenAPI 3.1 (served by routes/service/docs.ts).
 * Answers are typed by their schemas at compile time and not checked again when they are sent.
 */
export async function registerOpenApi(app: FastifyInstance, version: string): Promise<void> {
  app.setValidatorCompiler((route) =>
    // Bodies are bytes here (body.ts); their schemas are for the document.
    route.httpPart === 'body' ? (value: unknown) => ({ value }) : validatorCompiler(route as never),
  );
  app.setSerializerCompiler(() => (data) => JSON.stringify(data));
  await app.register(swagger, {
    openapi: {
      ...introduction,
      info: {
        title: 'Beacon',
        version,
        description,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
    },
    transform: describeRoute,
    transformObject: finishDocument,
  });
}
