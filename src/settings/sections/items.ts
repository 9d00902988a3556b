import { filePath, flag, integer } from '../setting-types.ts'

/** The items of runs. */
export const items = {
  concurrency: integer({
    key: 'concurrency',
    default: 50,
    min: 1,
    max: 10_000,
    help: 'How many items this process runs at the same time, in addition to its runs.',
  }),
  lowerWhenLate: flag({
    key: 'lower_when_late',
    default: true,
    help: 'Run fewer items at the same time, down to an eighth, while the event loop is more than 100 ms late.',
  }),
  bodies: filePath({
    key: 'bodies',
    default: '.piko/bodies',
    help: "Folder for the bytes that a failed item keeps, if they are more than 64 KB. Nodes that share the folder find each other's bytes.",
  }),
}
