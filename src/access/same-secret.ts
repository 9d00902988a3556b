import { timingSafeEqual } from 'node:crypto'

/** Compares two secrets. The time it takes reveals only whether their lengths differ. */
export function isSameSecret(one: Buffer, other: Buffer): boolean {
  return one.length === other.length && timingSafeEqual(one, other)
}
