import { InvalidArgumentError } from 'commander'

/** @throws InvalidArgumentError for an instant without a zone, which is another one on each machine */
export function parseInstant(value: string): Date {
  const date = new Date(value)
  if (!Number.isNaN(date.getTime()) && /(?:Z|[+-]\d\d:?\d\d)$/i.test(value)) return date
  throw new InvalidArgumentError('expected an instant with its zone, such as 2026-12-01T00:00:00Z')
}
