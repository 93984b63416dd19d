import type { FindingCode } from './finding.ts';

/** A leaf as a log gives it, with the hash that is stored beside it where there is one. */
export interface AuditedLeaf {
  leaf: Uint8Array;
  leafHash?: Uint8Array | undefined;
}

/** Hashes of a tile, with the root of its subtree where that is stored too. */
export interface AuditedTile {
  hashes: Uint8Array;
  root?: Uint8Array | undefined;
}

/** What an audit reads: somebody's tiles over HTTP, or our own tables. Nothing that it says is believed. */
export interface AuditSource {
  /** `width` leaves of bundle `index`, in order; undefined where one is not there. */
  entries(index: number, width: number): Promise<(AuditedLeaf | undefined)[]>;
  /** Undefined when it is not there. */
  tile(level: number, index: number, width: number): Promise<AuditedTile | undefined>;
}

/** Thrown by a source for an answer that no log would give; the audit names it and goes on where it can. */
export class BrokenSource extends Error {
  override readonly name = 'BrokenSource';
  readonly code: FindingCode;
  readonly where: string;
  constructor(code: FindingCode, where: string, reason: string) {
    super(reason);
    this.code = code;
    this.where = where;
  }
}
