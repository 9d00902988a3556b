import { duration, integer } from '../setting-types.ts'

/** The events of the fleet, for readers outside the app. */
export const events = {
  keepMs: duration({
    key: 'keep',
    default: '10m',
    min: '10s',
    max: '1d',
    help: 'A reader can continue after an interruption of this length without missing an event. Events are stored only while there are readers, and for this long after the last reader has gone.',
  }),
  keep: integer({
    key: 'keep_events',
    default: 2_000_000,
    min: 1_000,
    max: 100_000_000,
    help: 'Maximum number of events to keep. A thousand take about 20 kB.',
  }),
}
