import type { Values } from './variables.ts';

const KEYS = ['BEACON_LOG_KEY_PEM', 'BEACON_RECEIPT_KEY_PEM'] as const;
type KeyVariable = (typeof KEYS)[number];

/** Who signs what (spec: core §10): the sequencer in the relay checkpoints, workers receipts, the API nothing. */
const OWN = {
  api: null,
  relay: 'BEACON_LOG_KEY_PEM',
  worker: 'BEACON_RECEIPT_KEY_PEM',
} as const satisfies Record<string, KeyVariable | null>;

/** The variables with keys that `role` must not hold. */
export function foreignKeys(role: keyof typeof OWN): KeyVariable[] {
  return KEYS.filter((name) => name !== OWN[role]);
}

/** The settings without the keys of other roles, and which of those were set. */
export function withoutForeignKeys(
  role: keyof typeof OWN,
  settings: Values,
): { settings: Values; ignored: KeyVariable[] } {
  const ignored = foreignKeys(role).filter((name) => settings[name] !== null);
  return { settings: { ...settings, ...Object.fromEntries(ignored.map((name) => [name, null])) }, ignored };
}
