import { createVerifier } from '../../overlay/identity/identity.js'

/** Checks real signatures, one for all tests of a file. */
export const ed25519Verifier = createVerifier()
