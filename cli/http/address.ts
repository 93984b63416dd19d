import type { Context } from '../context.ts';
import { CliError } from '../failure.ts';
import { readStackFile } from '../stack/stack-file.ts';

export const DEFAULT_API = 'http://127.0.0.1:8090';

export interface ApiAddress {
  /** Origin and path prefix, without a slash at the end and without `/api/v1`. */
  url: string;
  source: 'option' | 'environment' | 'stack' | 'default';
}

/**
 * Where the API is: `--api`, else BEACON_API, else the stack of the state folder. The default port is tried only when no
 * state folder was named: somebody who names one must not end up at another stack.
 */
export async function resolveApi(
  context: Pick<Context, 'api' | 'io' | 'stateDir' | 'stateGiven'>,
): Promise<ApiAddress> {
  if (context.api !== undefined) return { url: normalise(context.api, '--api'), source: 'option' };
  const fromEnvironment = context.io.env.BEACON_API ?? '';
  if (fromEnvironment !== '') return { url: normalise(fromEnvironment, 'BEACON_API'), source: 'environment' };
  const stack = await readStackFile(context.stateDir);
  if (stack?.apiUrl !== undefined) return { url: normalise(stack.apiUrl, 'stack.json'), source: 'stack' };
  if (stack !== undefined) {
    throw new CliError('unreachable', `the stack in ${context.stateDir} has no API at the moment`, {
      next: '`beacon status` tells how far it is',
    });
  }
  if (context.stateGiven) {
    throw new CliError('unreachable', `no stack runs in ${context.stateDir}`, {
      next: 'start one there with `beacon up --state FOLDER`, or name a service with --api URL',
    });
  }
  return { url: DEFAULT_API, source: 'default' };
}

function normalise(text: string, from: string): string {
  const example = `for example ${DEFAULT_API}`;
  let url: URL;
  try {
    url = new URL(text.trim());
  } catch (cause) {
    throw new CliError('usage', `${from}: "${text}" is not a URL`, { next: example, cause });
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new CliError('usage', `${from}: ${url.protocol}// is not http or https`, { next: example });
  }
  if (url.username !== '' || url.password !== '') {
    throw new CliError('usage', `${from}: a URL with a user name or password in it is refused`, {
      next: example,
    });
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '').replace(/\/api\/v1$/, '');
}

/** The feed of the API at `url`. */
export function feedUrl(url: string): string {
  return `${url.replace(/^http/, 'ws')}/ws`;
}
