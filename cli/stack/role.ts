import type { Context } from '../context.ts';

/** `beacon serve`, `worker`, `relay`, `migrate`: one role, composed in `cli/roles.ts`. */
export async function role(
  context: Context,
  name: 'serve' | 'worker' | 'relay' | 'migrate',
  options: { queues?: string[] },
): Promise<undefined> {
  const { runRole } = await import('../roles.ts');
  await runRole(name, { ...options, env: context.io.env, signal: context.io.signal });
}
