import type { Handlers } from '../handler.ts'

export const doctorHandlers: Handlers<'doctor'> = {
  'doctor.examine': (app) => app.doctor(),
}
