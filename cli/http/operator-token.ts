import { readFile } from 'node:fs/promises';
import type { Context } from '../context.ts';
import { operatorTokenFile, readStackFile } from '../stack/stack-file.ts';

/**
 * BEACON_OPERATOR_TOKEN, else the token of this machine's own stack, and that only when the API at `url` is that stack's:
 * it goes to nobody else.
 */
export async function operatorToken(
  { io, stateDir }: Pick<Context, 'io' | 'stateDir'>,
  url: string,
): Promise<string | undefined> {
  const fromEnvironment = io.env.BEACON_OPERATOR_TOKEN ?? '';
  if (fromEnvironment !== '') return fromEnvironment;
  try {
    const stack = await readStackFile(stateDir);
    if (stack?.apiUrl === undefined || new URL(stack.apiUrl).origin !== new URL(url).origin) return undefined;
    return (await readFile(operatorTokenFile(stateDir), 'utf8')).trim() || undefined;
  } catch {
    // Somebody else's folder: without its token everything public can be asked all the same.
    return undefined;
  }
}
