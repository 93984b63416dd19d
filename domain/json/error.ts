/** Why a text is not JSON as Beacon takes it (spec: core §3). */
export type JsonErrorCode =
  | 'invalid_utf8'
  | 'byte_order_mark'
  | 'syntax'
  | 'too_deep'
  | 'duplicate_key'
  | 'nul_character'
  | 'lone_surrogate'
  | 'number_out_of_range';

export class JsonError extends Error {
  readonly code: JsonErrorCode;
  /** Where in the value, as `constraints.regions[0]`; empty at the top. */
  readonly path: string;
  /** Where in the text, in bytes from its start; 0 when the bytes are no text. */
  readonly offset: number;

  constructor(code: JsonErrorCode, message: string, path: string, offset: number) {
    super(`${message}${path === '' ? '' : ` in ${path}`} (byte ${offset})`);
    this.name = 'JsonError';
    this.code = code;
    this.path = path;
    this.offset = offset;
  }
}

/** Keys come from strangers; an error's path shows this much of each. */
const SHOWN_KEY_LENGTH = 40;

/** `['a', 0, 'b c']` as `a[0]["b c"]`. */
export function jsonPath(steps: readonly (string | number)[]): string {
  let path = '';
  for (const step of steps) {
    if (typeof step === 'number') path += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step) && step.length <= SHOWN_KEY_LENGTH)
      path += path === '' ? step : `.${step}`;
    else path += `[${JSON.stringify(step.slice(0, SHOWN_KEY_LENGTH))}]`;
  }
  return path;
}
