import { InvalidArgumentError } from 'commander'

/** Parses the number of a run. @throws InvalidArgumentError unless the text is the number of a run */
export const parseRunId = (text: string): number => parseId(text, 'a run')

/** Parses the number of a backfill. @throws InvalidArgumentError unless the text is the number of a backfill */
export const parseBackfillId = (text: string): number => parseId(text, 'a backfill')

/** Parses the number of a batch. @throws InvalidArgumentError unless the text is the number of a batch */
export const parseBatchId = (text: string): number => parseId(text, 'a batch')

/** Parses the number of an item. @throws InvalidArgumentError unless the text is the number of an item */
export const parseItemId = (text: string): number => parseId(text, 'an item')

/** Parses the number of a row of the audit. @throws InvalidArgumentError unless the text is the number of a row of the audit */
export const parseAuditId = (text: string): number => parseId(text, 'a change in the audit')

function parseId(text: string, what: string): number {
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text)
  throw new InvalidArgumentError(`expected the number of ${what}`)
}
