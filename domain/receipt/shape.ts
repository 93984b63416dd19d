import { fromHex } from '../encoding.ts';
import { ReceiptError } from './error.ts';

/**
 * Reads plain JSON values into types without a library: this code is pinned into browsers and must stay small. `object`
 * lets members it does not know pass (a later minor version may add some), `exact` refuses them.
 */
export interface Shape<T> {
  read(value: unknown, path: string): T;
  /** The member may be absent. */
  absent?: true;
}

type Members<T> = { [K in keyof T]-?: Shape<Exclude<T[K], undefined>> };

function refuse(path: string, wanted: string): never {
  throw new ReceiptError('document_malformed', `${path === '' ? 'the value' : path} is not ${wanted}`);
}

function shape<T>(wanted: string, holds: (value: unknown) => boolean): Shape<T> {
  return { read: (value, path) => (holds(value) ? (value as T) : refuse(path, wanted)) };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

export const text = shape<string>('a string', (value) => typeof value === 'string');
export const flag = shape<boolean>('a boolean', (value) => typeof value === 'boolean');
export const count = shape<number>(
  'a whole number',
  (value) => Number.isSafeInteger(value) && Number(value) >= 0,
);
export const amount = shape<number>('a number', (value) => Number.isFinite(value));
export const anything = shape<unknown>('a value', () => true);
export const decimal = shape<string>(
  'a decimal with 18 digits',
  (value) => typeof value === 'string' && /^(0|[1-9]\d{0,19})\.\d{18}$/.test(value),
);
export const sha256Hex = shape<string>(
  'a SHA-256 in hex',
  (value) => typeof value === 'string' && value.length === 64 && fromHex(value) !== undefined,
);
export const time = shape<string>(
  'an RFC 3339 time',
  (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value),
);

export function oneOf<const T extends string>(...values: T[]): Shape<T> {
  return shape(`one of ${values.join(', ')}`, (value) => (values as unknown[]).includes(value));
}

export function nullable<T>(inner: Shape<T>): Shape<T | null> {
  return { read: (value, path) => (value === null ? null : inner.read(value, path)) };
}

export function optional<T>(inner: Shape<T>): Shape<T> {
  return { read: (value, path) => inner.read(value, path), absent: true };
}

export function list<T>(item: Shape<T>): Shape<T[]> {
  return {
    read(value, path) {
      if (!Array.isArray(value)) return refuse(path, 'a list');
      return value.map((member: unknown, i) => item.read(member, `${path}[${i}]`));
    },
  };
}

export function record<T>(item: Shape<T>): Shape<Record<string, T>> {
  return {
    read(value, path) {
      if (!isObject(value)) return refuse(path, 'an object');
      for (const [key, member] of Object.entries(value)) item.read(member, `${path}.${key}`);
      return value as Record<string, T>;
    },
  };
}

export function object<T extends object>(members: Members<T>): Shape<T> {
  return {
    read(value, path) {
      if (!isObject(value)) return refuse(path, 'an object');
      for (const [key, member] of Object.entries<Shape<unknown>>(members)) {
        const present = Object.hasOwn(value, key) && value[key] !== undefined;
        if (present) member.read(value[key], path === '' ? key : `${path}.${key}`);
        else if (member.absent !== true) refuse(path === '' ? key : `${path}.${key}`, 'there');
      }
      return value as T;
    },
  };
}

export function exact<T extends object>(members: Members<T>): Shape<T> {
  const known = object(members);
  return {
    read(value, path) {
      const read = known.read(value, path);
      const stranger = Object.keys(read).find((key) => !Object.hasOwn(members, key));
      return stranger === undefined ? read : refuse(path === '' ? stranger : `${path}.${stranger}`, 'known');
    },
  };
}
