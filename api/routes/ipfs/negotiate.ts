import { ApiError } from '../../errors.ts';
import type { ByteRange, Selection } from '../../../attestation/blocks/walk.ts';

/** What a request to the gateway wants (IPFS trustless gateway specification). */
export type Wanted = { format: 'raw' } | ({ format: 'car' } & Selection);

export interface GatewayQuery {
  format?: string | undefined;
  'dag-scope'?: string | undefined;
  'entity-bytes'?: string | undefined;
  'car-version'?: string | undefined;
  'car-order'?: string | undefined;
  'car-dups'?: string | undefined;
}

const FORMATS: Record<string, 'raw' | 'car'> = {
  'application/vnd.ipld.raw': 'raw',
  'application/vnd.ipld.car': 'car',
};
/** Known ways to ask for something that a trustless gateway without conversions does not make. */
const NOT_MADE: ReadonlySet<string> = new Set(['ipns-record', 'tar', 'dag-json', 'dag-cbor', 'json', 'cbor']);
const SCOPES: readonly string[] = ['block', 'entity', 'all'] satisfies Selection['scope'][];
const BYTES = /^(-?\d{1,15}):(\*|-?\d{1,15})$/;

interface Accepted {
  format: 'raw' | 'car' | undefined;
  params: Map<string, string>;
  quality: number;
}

/** The query decides before the `Accept` header, whose parameters of a CAR hold where the query says nothing. */
export function negotiate(query: GatewayQuery, accept: string | undefined): Wanted {
  const accepted = (accept ?? '').split(',').map(parseAccepted);
  const offers = accepted
    .filter(({ quality, format, params }) => quality > 0 && format !== undefined && isMade(params))
    .sort((a, b) => b.quality - a.quality);
  const format = query.format === undefined ? offers[0]?.format : formatOf(query.format);
  if (format === undefined)
    throw new ApiError(accept === undefined ? 'ipfs_format_missing' : 'ipfs_format_unsupported');
  if (format === 'raw') return { format };
  const params = offers.find((offer) => offer.format === 'car')?.params ?? new Map<string, string>();
  const version = query['car-version'] ?? params.get('version') ?? '1';
  const order = query['car-order'] ?? params.get('order') ?? 'dfs';
  const duplicates = query['car-dups'] ?? params.get('dups') ?? 'n';
  if (version !== '1') throw invalid('car-version', 'is 1 here');
  if (order !== 'dfs' && order !== 'unk') throw invalid('car-order', 'is dfs or unk here');
  if (duplicates !== 'y' && duplicates !== 'n') throw invalid('car-dups', 'is y or n');
  const bytes = bytesOf(query['entity-bytes']);
  const scope = bytes === undefined ? (query['dag-scope'] ?? 'all') : 'entity';
  if (!isScope(scope)) throw invalid('dag-scope', 'is block, entity or all');
  return { format, scope, duplicates: duplicates === 'y', ...(bytes === undefined ? {} : { bytes }) };
}

function parseAccepted(text: string): Accepted {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim());
  const params = new Map(
    rest.map((param) => {
      const [name = '', value = ''] = param.split('=', 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')] as const;
    }),
  );
  return { format: FORMATS[type.toLowerCase()], params, quality: Number(params.get('q') ?? '1') };
}

/** Whether an offer of the client is one that is made here; another one of his may be. */
function isMade(params: ReadonlyMap<string, string>): boolean {
  return (
    ['1', undefined].includes(params.get('version')) &&
    ['dfs', 'unk', undefined].includes(params.get('order'))
  );
}

function formatOf(name: string): 'raw' | 'car' {
  if (name === 'raw' || name === 'car') return name;
  if (NOT_MADE.has(name)) throw new ApiError('ipfs_format_unsupported');
  throw invalid('format', 'is raw or car');
}

function isScope(text: string): text is Selection['scope'] {
  return SCOPES.includes(text);
}

function bytesOf(text: string | undefined): ByteRange | undefined {
  if (text === undefined) return undefined;
  const [, from, to] = BYTES.exec(text) ?? [];
  if (from === undefined || to === undefined) throw invalid('entity-bytes', 'is from:to, with * for the end');
  return { from: Number(from), to: to === '*' ? null : Number(to) };
}

function invalid(field: string, rule: string): ApiError {
  return new ApiError('ipfs_request_invalid', { message: `${field} ${rule}`, details: { field } });
}
