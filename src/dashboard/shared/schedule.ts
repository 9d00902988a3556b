/** Returns the zone of a schedule; undefined if the job has no schedule. */
export function zoneOf(schedule: unknown): string | undefined {
  const zone: unknown =
    typeof schedule === 'object' && schedule !== null && 'timezone' in schedule ? schedule.timezone : undefined
  return typeof zone === 'string' ? zone : undefined
}
