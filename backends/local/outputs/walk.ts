import { constants } from 'node:fs';
import { lstat, open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { LIMITS } from '../../../domain/limits.ts';
import { Refusal } from '../../refusal.ts';

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;
const SEGMENT = /^[A-Za-z0-9._-]+$/;

/** A file beneath the output folder; `open` follows nothing and blocks on nothing. */
export interface FoundFile {
  name: string;
  open(): Promise<FileHandle>;
}

/**
 * Every regular file beneath `folder`, by name. The job's processes are gone, but nothing here relies on it: each step
 * goes through the handle of the folder above (`/proc/self/fd`), so no exchanged folder can lead elsewhere.
 */
export async function walkOutputs<T>(folder: string, visit: (files: FoundFile[]) => Promise<T>): Promise<T> {
  const handles: FileHandle[] = [];
  const files: FoundFile[] = [];
  const enter = async (path: string, prefix: string, depth: number): Promise<void> => {
    const handle = await openPlain(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, prefix);
    handles.push(handle);
    const base = process.platform === 'linux' ? `/proc/self/fd/${handle.fd}` : path;
    const names = await readdir(base);
    for (const segment of names.sort()) {
      const name = prefix === '' ? segment : `${prefix}/${segment}`;
      if (!SEGMENT.test(segment) || Buffer.byteLength(name) > LIMITS.fileNameBytes)
        throw new Refusal('file_name_refused', `an output file may not be called ${shown(name)}`);
      const stat = await lstat(join(base, segment));
      if (stat.isSymbolicLink())
        throw new Refusal('file_link_refused', `the output ${shown(name)} is a link`);
      if (stat.isDirectory()) {
        if (depth >= LIMITS.fileDepth)
          throw new Refusal(
            'file_name_refused',
            `the output ${shown(name)} is deeper than ${LIMITS.fileDepth} levels`,
          );
        await enter(join(base, segment), name, depth + 1);
        continue;
      }
      if (!stat.isFile())
        throw new Refusal('file_special_refused', `the output ${shown(name)} is no regular file`);
      if (stat.nlink > 1) throw new Refusal('file_link_refused', `the output ${shown(name)} is a hard link`);
      files.push({
        name,
        open: () => openPlain(join(base, segment), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, name),
      });
      // One more is the output itself.
      if (files.length > LIMITS.filesPerExecution + 1) throw tooMany();
    }
  };
  try {
    await enter(folder, '', 1);
    return await visit(files);
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
}

export function tooMany(): Refusal {
  return new Refusal('files_too_many', `more than ${LIMITS.filesPerExecution} output files`);
}

/** A name as it may stand in a message. */
function shown(name: string): string {
  return JSON.stringify(name.length > 60 ? `${name.slice(0, 60)}…` : name);
}

async function openPlain(path: string, flags: number, name: string): Promise<FileHandle> {
  try {
    return await open(path, flags);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ELOOP' || code === 'ENOTDIR')
      throw new Refusal('file_link_refused', `the output ${shown(name)} is a link`, { cause: error });
    if (code === 'EACCES' || code === 'ENXIO')
      throw new Refusal('file_special_refused', `the output ${shown(name)} cannot be read`, { cause: error });
    throw error;
  }
}
