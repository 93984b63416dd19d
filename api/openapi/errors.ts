import type { OpenAPIV3_1 } from 'openapi-types';
import { ERRORS, MAY_COME, type ErrorCode } from '../errors.ts';
import { SIGNED_READ_ERRORS } from '../plugins/signed-read.ts';
import type { HeaderName } from './headers.ts';

/** What may be answered whatever is asked. */
const EVERYWHERE = ['bad_request', 'host_not_allowed', 'internal_error'] as const;
/** Where web pages of other origins are let in by the list of CORS_ORIGINS. */
const LISTED_ORIGINS = ['origin_not_allowed'] as const;
const WITH_A_BODY = ['invalid_content_type', 'unsupported_content_encoding', 'body_too_large'] as const;
const WITH_THE_DATABASE = ['persistence_unavailable'] as const;
/** With RATE_LIMIT_PER_IP. */
const WHERE_COUNTED = ['rate_limit_exceeded'] as const;
/** Answered before a route is known, or because there is none. */
export const BEFORE_ANY_ROUTE: readonly ErrorCode[] = ['request_timeout', 'headers_too_large', 'not_found'];

/** With these comes `Retry-After`. */
const TRY_AGAIN: ReadonlySet<ErrorCode> = new Set([
  'rate_limit_exceeded',
  'intake_busy',
  'verification_timeout',
  'backlog_full',
  'bundles_busy',
  'bundle_not_ready',
  'not_yet_logged',
]);

export interface RouteFacts {
  /** Codes of the route itself. */
  own: readonly ErrorCode[];
  takesBody: boolean;
  anyOrigin: boolean;
  /** The owner of private jobs may sign here (`Beacon-Signature`). */
  forOwners: boolean;
  /** Health, metrics, this document: works without a database, and nobody counts how often it is asked. */
  isService: boolean;
}

/** Every code that a route may answer with, in the catalogue's order. */
export function errorsOf({ own, takesBody, anyOrigin, forOwners, isService }: RouteFacts): ErrorCode[] {
  const codes = new Set<ErrorCode>([
    ...own,
    ...EVERYWHERE,
    ...(anyOrigin ? [] : LISTED_ORIGINS),
    ...(takesBody ? WITH_A_BODY : []),
    ...(forOwners ? SIGNED_READ_ERRORS : []),
    ...(isService ? [] : [...WITH_THE_DATABASE, ...WHERE_COUNTED]),
  ]);
  return (Object.keys(ERRORS) as ErrorCode[]).filter((code) => codes.has(code));
}

/** One answer for each status; it lists its codes, and each has an example. */
export function errorAnswers(
  codes: readonly ErrorCode[],
): Map<string, { answer: OpenAPIV3_1.ResponseObject; headers: readonly HeaderName[] }> {
  const statuses = [...new Set(codes.map((code) => ERRORS[code][0]))].sort((a, b) => a - b);
  return new Map(
    statuses.map((status) => [
      String(status),
      errorAnswer(
        status,
        codes.filter((code) => ERRORS[code][0] === status),
      ),
    ]),
  );
}

function errorAnswer(status: number, codes: readonly ErrorCode[]) {
  const answer: OpenAPIV3_1.ResponseObject = {
    description: codes.map((code) => `- \`${code}\`: ${ERRORS[code][1].replace('<', '\\<')}`).join('\n'),
    content: {
      'application/json': {
        schema: {
          allOf: [{ $ref: '#/components/schemas/Problem' }],
          properties: { code: { enum: [...codes] } },
        },
        examples: Object.fromEntries(
          codes.map((code) => [code, { $ref: `#/components/examples/${exampleName(code)}` }]),
        ),
      },
    },
  };
  const headers: HeaderName[] = [
    ...(codes.some((code) => TRY_AGAIN.has(code)) ? (['Retry-After'] as const) : []),
    ...(codes.some((code) => MAY_COME.has(code)) ? (['Cache-Control'] as const) : []),
    ...(codes.includes('unsupported_content_encoding') ? (['Accept-Encoding'] as const) : []),
    ...(status === 401 ? (['WWW-Authenticate'] as const) : []),
  ];
  return { answer, headers };
}

/** Names of components have no colon. */
function exampleName(code: ErrorCode): string {
  return code.replace(':', '.');
}

/** An example of each code of the catalogue, for `components.examples`. */
export function errorExamples(): Record<string, OpenAPIV3_1.ExampleObject> {
  return Object.fromEntries(
    Object.entries(ERRORS).map(([code, [, error]]) => [
      exampleName(code as ErrorCode),
      { summary: `${code}: ${error}`, value: { error, error_code: code, code, request_id: REQUEST_ID } },
    ]),
  );
}

const REQUEST_ID = '5e2f6b0e-8a44-4d39-9f0b-3a1f3f2f6a55';
