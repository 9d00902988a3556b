import { networkInterfaces } from 'node:os'

export const LOOPBACK = '127.0.0.1'

/** The first address at which other machines may reach this one. */
export function outsideAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? LOOPBACK
}
