import { createHash, randomBytes, randomUUID } from 'node:crypto';

/** Ids in the forms that yagna gives and checks. */
const hex = (bytes: number) => randomBytes(bytes).toString('hex');

export const subscriptionId = () => `${hex(16)}-${hex(32)}`;
export const proposalId = (of: 'R' | 'P') => `${of}-${hex(32)}`;
export const agreementId = () => hex(32);
export const activityId = () => hex(16);
export const uuid = () => randomUUID();

/** The same name is always the same node. */
export const nodeId = (name: string) => `0x${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
