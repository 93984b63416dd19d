/** Limits on everything that arrives or is kept (spec: core §11). Units stand in the names. */
export const KIB = 1024;
export const MIB = 1024 * KIB;

export const LIMITS = {
  bodyBytes: MIB,
  jsonDepth: 64,
  specVerifiedInlineBytes: 64 * KIB,
  executionsPerJob: 1_000,
  planBytes: 64 * KIB,
  questionBytes: 8 * KIB,
  modelIdBytes: 128,
  nonceBytes: 256,
  idempotencyKeyBytes: 255,
  outputInlineBytes: 64 * KIB,
  outputBytes: MIB,
  filesBytes: 64 * MIB,
  filesPerExecution: 64,
  fileDepth: 4,
  fileNameBytes: 128,
  receiptBytes: MIB,
  attemptLogBytes: MIB,
  logLineBytes: 16 * KIB,
  eventPayloadBytes: 16 * KIB,
  blobPartBytes: MIB,
  pageRows: 200,
  logEntryBytes: 65_535,
  checkpointBytes: 64 * KIB,
} as const;
