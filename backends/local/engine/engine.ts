import { existsSync } from 'node:fs';
import Docker from 'dockerode';
import { WAITS } from '../bounds.ts';
import type { Missing } from '../machine.ts';

/** A Docker-compatible engine that answered, and what it says that it can enforce. */
export interface Engine {
  docker: Docker;
  socket: string;
  version: string;
  rootless: boolean;
  enforces: { memory: boolean; cpu: boolean; pids: boolean };
}

interface Info {
  ServerVersion?: string;
  SecurityOptions?: string[];
  Rootless?: boolean;
  MemoryLimit?: boolean;
  CpuCfsQuota?: boolean;
  PidsLimit?: boolean;
}

/** The first socket behind which an engine answers. */
export async function findEngine(sockets: string[]): Promise<Engine | Missing> {
  const silent: string[] = [];
  for (const socket of sockets) {
    if (!existsSync(socket)) continue;
    const docker = new Docker({ socketPath: socket, timeout: 0 });
    try {
      const info = (await within(docker.info(), WAITS.engineCallMs)) as Info;
      return {
        docker,
        socket,
        version: info.ServerVersion ?? 'unknown',
        rootless:
          info.Rootless === true ||
          info.SecurityOptions?.some((option) => option.includes('rootless')) === true,
        enforces: {
          memory: info.MemoryLimit === true,
          cpu: info.CpuCfsQuota === true,
          pids: info.PidsLimit === true,
        },
      };
    } catch (error) {
      silent.push(`${socket}: ${(error as Error).message}`);
    }
  }
  return {
    reason:
      silent.length > 0
        ? `no container engine answers (${silent.join('; ')})`
        : 'no container engine has a socket here',
    fix: 'start Docker or "podman system service", or set BEACON_DOCKER_SOCKET',
  };
}

/** An engine that restarts leaves calls open for ever, so none is waited for without an end. */
export async function within<T>(call: Promise<T>, ms: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error('the engine does not answer'), { code: 'ETIMEDOUT' })),
      ms,
    );
  });
  try {
    return await Promise.race([call, late]);
  } finally {
    clearTimeout(timer);
  }
}
