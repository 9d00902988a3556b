import { networkInterfaces } from 'node:os'

export const LOOPBACK = '127.0.0.1'

/** Returns the first address at which other machines may be able to reach this one, or the loopback address if there is none. */
export function outsideAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? LOOPBACK
}
