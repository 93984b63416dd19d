import { randomInt } from 'node:crypto';
import type { LocalSettings } from './settings.ts';

export interface JobUser {
  uid: number;
  gid: number;
}

/**
 * As root every running job has a user id of its own: process limits count per user, and no job may touch another's
 * files. Each worker starts at a random place of the range, so two workers on one machine hardly ever meet.
 */
export class JobUsers {
  readonly #first: number;
  readonly #count: number;
  readonly #taken = new Set<number>();
  #next: number;

  constructor(range: LocalSettings['users']) {
    this.#first = range.first;
    this.#count = range.count;
    this.#next = randomInt(range.count);
  }

  take(): JobUser {
    for (let tries = 0; tries < this.#count; tries++) {
      const uid = this.#first + this.#next;
      this.#next = (this.#next + 1) % this.#count;
      if (this.#taken.has(uid)) continue;
      this.#taken.add(uid);
      return { uid, gid: uid };
    }
    throw new Error(`all ${this.#count} user ids for jobs are in use`);
  }

  giveBack(user: JobUser): void {
    this.#taken.delete(user.uid);
  }
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}
