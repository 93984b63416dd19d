import type { SwaggerTransform, SwaggerTransformObject } from '@fastify/swagger';
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { OpenAPIV3_1 } from 'openapi-types';
import { ERRORS, type ErrorCode } from '../errors.ts';
import { BEFORE_ANY_ROUTE, errorAnswers, errorExamples, errorsOf } from './errors.ts';
import { addExamples, readExamples } from './examples.ts';
import { EVERY_ANSWER, HEADERS, type HeaderName } from './headers.ts';
import { tidyDocument } from './tidy.ts';
import './route-schema.ts';

/** What a route says of itself, carried through the generator and taken out again. */
interface Facts {
  codes: readonly ErrorCode[];
  answerHeaders: Readonly<Record<string, readonly HeaderName[]>>;
  permission: string;
  /** An operator sees more here, or nobody does. */
  forOperators: boolean;
}

const REST_OF_PATH = '/*';
interface PathSchema {
  properties: Record<string, unknown>;
  required: string[];
}

type Operation = OpenAPIV3_1.OperationObject & { 'x-facts'?: Facts };

/** What stands in front of the routes. */
export const introduction = {
  openapi: '3.1.0',
  tags: [
    { name: 'jobs', description: 'Signed jobs: submit, read, cancel.' },
    { name: 'executions', description: 'What ran: attempts, output, files, logs and the signed receipt.' },
    {
      name: 'transparency',
      description:
        'The append-only Merkle log of receipts, its proofs, and bundles that `beacon verify` checks.',
    },
    {
      name: 'golem',
      description:
        'The Golem Network for operators: market, money, circuit breakers, and why nobody was found.',
    },
    { name: 'service', description: 'Health, metrics, the feed and this document.' },
  ],
  servers: [{ url: '/', description: 'The API that served this document.' }],
  components: {
    securitySchemes: {
      operator: {
        type: 'http' as const,
        scheme: 'bearer',
        description: "The operator's token (`ADMIN_TOKEN`; `beacon up` writes one to `operator.token`).",
      },
      owner: {
        type: 'apiKey' as const,
        in: 'header' as const,
        name: 'Beacon-Signature',
        description:
          'A request signed by the key of private jobs: `key="…", timestamp="…", nonce="…", signature="…"`, Ed25519 over RFC 8785 of `{key, method, nonce, path, timestamp}`, path with query; within five minutes, each nonce once.',
      },
      adminToken: {
        type: 'apiKey' as const,
        in: 'header' as const,
        name: 'X-Admin-Token',
        description: 'The same token, as older clients send it.',
      },
    },
  },
};

export const description = `Signed jobs in, signed receipts in a public Merkle log out.

Reading needs no credentials. A job is submitted by whoever signed it, and changed by a request that the same key signed or by an operator. A private job answers as an unknown id to everybody but an operator and whoever signs the request with the job's key (\`Beacon-Signature\`).

Every error is \`{error, error_code, code, details?, request_id}\`; \`code\` is of a closed set, listed at each route. Before a route is known there may also be ${BEFORE_ANY_ROUTE.map((code) => `\`${code}\` (${ERRORS[code][0]})`).join(', ')}.

With \`RATE_LIMIT_PER_IP\` answers carry \`RateLimit-Limit\`, \`RateLimit-Remaining\` and \`RateLimit-Reset\` (seconds). Where the service writes traces, a request's \`traceparent\` is continued, and answers carry \`traceresponse\` (W3C Trace Context).

Every GET answers HEAD too. The examples are recorded from a running service: their signatures, hashes and proofs hold.`;

/** Describes a route by its zod schemas and keeps what the generator does not know for \`finishDocument\`. */
export const describeRoute: SwaggerTransform = (input) => {
  const { route, schema } = input;
  const { schema: described, url } = jsonSchemaTransform(input) as {
    schema: Record<string, unknown>;
    url: string;
  };
  if (schema.hide === true) return { schema: described, url };
  const { permission = 'read', anyOrigin = false, ownersToo = !anyOrigin } = route.config ?? {};
  const service = schema.tags?.includes('service') ?? false;
  const facts: Facts = {
    codes: errorsOf({
      own: schema.errors ?? [],
      takesBody: route.method !== 'GET',
      anyOrigin,
      forOwners: permission === 'read' && ownersToo && !service,
      isService: service,
    }),
    answerHeaders: schema.answerHeaders ?? {},
    permission,
    forOperators: !service && ownersToo,
  };
  delete described.errors;
  delete described.answerHeaders;
  if (url.endsWith(REST_OF_PATH)) nameRestOfPath(described.params as PathSchema);
  return { schema: { ...described, 'x-facts': facts }, url: url.replace(REST_OF_PATH, '/:path') };
};

/** What Fastify calls `*` has a name in the document. */
function nameRestOfPath({ properties, required }: PathSchema): void {
  properties.path = properties['*'];
  delete properties['*'];
  required[required.indexOf('*')] = 'path';
}

/** Adds what is the same everywhere, and what examples there are. */
export const finishDocument: SwaggerTransformObject = (input) => {
  const made = jsonSchemaTransformObject(input) as OpenAPIV3_1.Document;
  const document: OpenAPIV3_1.Document = {
    ...made,
    components: {
      ...made.components,
      headers: HEADERS,
      examples: errorExamples(),
      parameters: {
        RequestId: {
          in: 'header',
          name: 'X-Request-ID',
          description: 'Names the request in answers and logs: 1 to 128 of `A-Z a-z 0-9 . _ : / + = -`.',
          schema: { type: 'string' },
        },
        IfNoneMatch: {
          in: 'header',
          name: 'If-None-Match',
          description: 'The `ETag` of what the client has: 304 when it stands here still.',
          schema: { type: 'string' },
        },
      },
    },
  };
  const examples = readExamples();
  for (const [path, item] of Object.entries(document.paths ?? {})) {
    for (const operation of operationsOf(item)) {
      finishOperation(operation);
      addExamples(path, operation, examples.get(operation.operationId ?? '') ?? []);
    }
  }
  return tidyDocument(document);
};

function operationsOf(item: OpenAPIV3_1.PathItemObject | undefined): Operation[] {
  return [item?.get, item?.post].filter((operation) => operation !== undefined);
}

function finishOperation(operation: Operation): void {
  const facts = operation['x-facts'];
  delete operation['x-facts'];
  if (facts === undefined) return;
  operation.security = security(facts);
  if (facts.permission === 'change-job' && operation.requestBody && 'content' in operation.requestBody)
    operation.requestBody.required = false;
  const named = new Map<string, readonly HeaderName[]>(Object.entries(facts.answerHeaders));
  const answers = operation.responses as Record<string, OpenAPIV3_1.ResponseObject>;
  for (const [status, { answer, headers }] of errorAnswers(facts.codes)) {
    answers[status] ??= answer;
    named.set(status, headers);
  }
  for (const [status, answer] of Object.entries(answers)) {
    const names = [...EVERY_ANSWER, ...(named.get(status) ?? [])];
    answer.headers = Object.fromEntries(
      names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
    );
    for (const { schema } of Object.values(answer.content ?? {}))
      if (schema !== undefined && 'description' in schema && schema.description === answer.description)
        delete schema.description;
  }
  operation.parameters = [
    ...(operation.parameters ?? []).map((parameter) =>
      'in' in parameter && parameter.in === 'header'
        ? { ...parameter, name: parameter.name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase()) }
        : parameter,
    ),
    ...(answers['304'] === undefined ? [] : [{ $ref: '#/components/parameters/IfNoneMatch' }]),
    { $ref: '#/components/parameters/RequestId' },
  ];
}

function security({ permission, forOperators }: Facts): OpenAPIV3_1.SecurityRequirementObject[] {
  const operator = [{ operator: [] }, { adminToken: [] }];
  if (permission === 'operate') return operator;
  // The signature in the body, or an operator.
  if (permission === 'change-job') return [...operator, {}];
  return permission === 'read' && forOperators ? [{}, { owner: [] }, ...operator] : [];
}
