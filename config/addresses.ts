import { isIP } from 'node:net';
import proxyAddr from '@fastify/proxy-addr';

/** What the variables with lists of names and addresses take. */

const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$/i;

/** A name or address as it stands in a Host header before the port; `*` is any. */
export function isHostName(text: string): boolean {
  return text === '*' || HOST_NAME.test(text) || (/^\[.+\]$/.test(text) && isIP(text.slice(1, -1)) === 6);
}

/** As browsers send it; a slash at the end is forgiven. `null` is what every sandboxed page calls itself. */
export function isOrigin(text: string): boolean {
  if (!/^https?:\/\//i.test(text) || !URL.canParse(text)) return false;
  return new URL(text).origin === text.toLowerCase().replace(/\/$/, '');
}

/** An address, or a range by its prefix or its mask, as the one who reads it in the end takes it. */
export function isProxy(text: string): boolean {
  try {
    proxyAddr.compile([text]);
    return true;
  } catch {
    return false;
  }
}
