import { Refusal } from './refusal.ts';

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws Refusal for a word that no program can be given. */
export function checkWord(word: string): void {
  if (word.includes('\0')) throw new Refusal('work_invalid', 'the command holds a NUL character');
}

/** @throws Refusal for a variable that cannot be set, or that is ours to set. */
export function checkVariable(name: string, value: string): void {
  if (!VARIABLE.test(name) || value.includes('\0'))
    throw new Refusal('work_invalid', `environment: ${JSON.stringify(name)} is no variable that can be set`);
  if (name.startsWith('BEACON_'))
    throw new Refusal('work_invalid', `environment: ${name} is Beacon's own and cannot be set by a job`);
}
