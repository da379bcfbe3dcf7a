/** @file Where the preload is that cuts cnn3 down, see small-model.mjs. */

/** For `node --import`. */
export const SMALL_MODEL = new URL('small-model.mjs', import.meta.url).href;
/** Parameters of the small model. */
export const SMALL_ELEMENTS = 15;
