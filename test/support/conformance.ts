import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import type { FastifyInstance } from 'fastify';
import type { OpenAPIV3_1 } from 'openapi-types';
import { HEADERS } from '../../api/openapi/headers.ts';

export interface SeenAnswer {
  method: string;
  /** The route's path as the document has it. */
  path: string;
  status: number;
  /** Names in lower case. */
  headers: Readonly<Record<string, unknown>>;
  body: string | Buffer | undefined;
}

/** The document with whatever a `$ref` stands for found. */
export interface ReadDocument {
  document: OpenAPIV3_1.Document;
  operation(method: string, path: string): OpenAPIV3_1.OperationObject | undefined;
  /** Judges by `schema`, whose references are the document's. */
  validator(schema: object): ValidateFunction;
  /** What in an answer is not as the document says; empty when all is. */
  faults(answer: SeenAnswer): string[];
}

/** Judges by OpenAPI 3.1 with a JSON Schema validator that the service itself does not use for answers. */
export function readDocument(document: OpenAPIV3_1.Document): ReadDocument {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema({ $id: 'beacon', components: document.components });
  /** By their text: many answers have the same schema. */
  const compiled = new Map<string, ValidateFunction>();

  function validator(schema: object): ValidateFunction {
    const absolute = JSON.stringify(schema).replaceAll('"#/components/', '"beacon#/components/');
    const known = compiled.get(absolute);
    if (known !== undefined) return known;
    const made = ajv.compile(JSON.parse(absolute) as object);
    compiled.set(absolute, made);
    return made;
  }

  function operation(method: string, path: string): OpenAPIV3_1.OperationObject | undefined {
    return document.paths?.[path]?.[method.toLowerCase() as 'get' | 'post'];
  }

  function faults({ method, path, status, headers, body }: SeenAnswer): string[] {
    const where = `${method} ${path} ${status}`;
    const answers = operation(method, path)?.responses as
      Record<string, OpenAPIV3_1.ResponseObject> | undefined;
    const answer = answers?.[status];
    if (answer === undefined)
      return [`${where}: not in the document: ${JSON.stringify(String(body).slice(0, 200))}`];
    const documented = Object.keys(answer.headers ?? {}).map((name) => name.toLowerCase());
    const undocumented = Object.keys(HEADERS)
      .map((name) => name.toLowerCase())
      .filter((name) => headers[name] !== undefined && !documented.includes(name));
    const missing = status < 400 ? documented.filter((name) => headers[name] === undefined) : [];
    return [
      ...undocumented.map((name) => `${where}: has the header ${name}`),
      ...missing.map((name) => `${where}: has no header ${name}`),
      ...bodyFaults(answer, headers, body).map((fault) => `${where}: ${fault}`),
    ];
  }

  function bodyFaults(
    { content = {} }: OpenAPIV3_1.ResponseObject,
    headers: SeenAnswer['headers'],
    body: SeenAnswer['body'],
  ): string[] {
    if (Object.keys(content).length === 0)
      return body === undefined || body.length === 0 ? [] : ['has a body'];
    const type = String(headers['content-type']).split(';', 1)[0]!;
    const media = content[type];
    if (media === undefined) return [`is ${type}`];
    if (!type.endsWith('json') || body === undefined || media.schema === undefined) return [];
    const judge = validator(media.schema);
    if (judge(JSON.parse(body.toString('utf8')))) return [];
    return (judge.errors ?? []).map(
      ({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`,
    );
  }

  return { document, operation, validator, faults };
}

/** `/api/v1/jobs/:id` → `/api/v1/jobs/{id}`. */
function templateOf(url: string): string {
  return url.replace(/\/\*$/, '/{path}').replace(/:(\w+)/g, '{$1}');
}

/**
 * Holds every answer of `app` against the document that it serves; what does not agree is returned once by the function.
 * Answers that are streamed are judged without their bodies.
 */
export function watchAnswers(app: FastifyInstance): () => string[] {
  let read: ReadDocument | undefined;
  let found: string[] = [];
  app.addHook('onSend', async (request, reply, payload) => {
    const { url, schema } = request.routeOptions;
    if (
      request.is404 ||
      schema?.hide === true ||
      url === undefined ||
      !['GET', 'POST'].includes(request.method)
    )
      return payload;
    read ??= readDocument(app.swagger() as OpenAPIV3_1.Document);
    const isText = typeof payload === 'string' || Buffer.isBuffer(payload) || payload == null;
    found.push(
      ...read.faults({
        method: request.method,
        path: templateOf(url),
        status: reply.statusCode,
        headers: reply.getHeaders(),
        body: isText ? (payload ?? undefined) : undefined,
      }),
    );
    return payload;
  });
  return () => {
    const faults = found;
    found = [];
    return faults;
  };
}
