import { VARIABLES, type Values, type Variable, type VariableName } from './variables.ts';

/** A variable that cannot be used; the message names it, what it holds unless secret, and what is expected. */
export class SettingsError extends Error {
  override name = 'SettingsError';
  readonly code = 'invalid_setting';
}

const NAMES = Object.keys(VARIABLES) as VariableName[];

/** Reads every variable of `VARIABLES`, applying defaults; reports all that are wrong at once. */
export function readSettings(env: NodeJS.ProcessEnv): Values {
  if (isTrue(env.RUNNER_SIG_BYPASS)) {
    throw new SettingsError(
      'RUNNER_SIG_BYPASS: signatures cannot be switched off; unset it and sign with `beacon sign`',
    );
  }
  const values: Record<string, unknown> = {};
  const wrong: string[] = [];
  for (const name of NAMES) {
    const variable: Variable<unknown> = VARIABLES[name];
    const given = env[name] === '' ? undefined : env[name];
    const parsed = variable.schema.safeParse(given);
    if (parsed.success) values[name] = parsed.data;
    else {
      const shown = variable.secret === true ? 'its value' : JSON.stringify(given);
      // Only the first: a text of the wrong form fails the rules behind it for no reason of their own.
      const [{ message: why } = { message: 'is not understood' }] = parsed.error.issues;
      // A part of the value that is named by itself needs no second naming.
      wrong.push(`${name}: ${why.startsWith('"') ? '' : `${shown} `}${why}. ${variable.doc}`);
    }
  }
  if (wrong.length > 0) throw new SettingsError(wrong.join('\n'));
  return values as Values;
}

export interface SettingRow {
  name: VariableName;
  /** As one would write it into the environment; masked when secret. */
  value: string;
  source: 'environment' | 'default';
  doc: string;
}

/** What `beacon config` prints. */
export function describeSettings(env: NodeJS.ProcessEnv): SettingRow[] {
  const values = readSettings(env);
  return NAMES.map((name) => {
    const variable: Variable<unknown> = VARIABLES[name];
    const value: unknown = values[name];
    const given = env[name] === '' ? undefined : env[name];
    const shown = given ?? variable.shown ?? defaultText(value);
    return {
      name,
      value: variable.secret === true && shown !== '' ? '********' : shown,
      source: given === undefined ? 'default' : 'environment',
      doc: variable.doc,
    };
  });
}

function defaultText(value: unknown): string {
  if (value === null) return '';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function isTrue(text: string | undefined): boolean {
  return text !== undefined && ['1', 'true', 'yes'].includes(text.toLowerCase());
}
