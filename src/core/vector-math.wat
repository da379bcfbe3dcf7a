;; Arithmetic on float32 vectors in a shared memory. The wrapper (vector-math-wasm.ts) says what each function is for, checks all
;; arguments and computes what is left over when a length is no multiple of the block that a loop takes at a time.
;;
;; Each result is equal to the bit to the plain JavaScript loop in vector-math.ts, which computes in float64 and rounds on store:
;; - one addition or division of float32 values gives the same bits in float32 (24 * 2 + 2 <= 53);
;; - everything longer is computed in float64, with the same operations in the same order, and rounded once.
;;
;; Pointers are byte offsets. `end` is the first byte behind the vector that the loop walks along; it must fit into 32 bits, so the
;; memory ends one page before 4 GiB.
(module
  (import "env" "memory" (memory 1 65535 shared))

  ;; target = (((target + v0) + v1) + ...) / divisor, 16 values at a time.
  ;; `table` holds `count` pointers, as the distance of each vector from the target.
  (func (export "accumulate")
    (param $target i32) (param $end i32) (param $table i32) (param $count i32) (param $divisor f32)
    (local $entry i32) (local $tableEnd i32) (local $from i32) (local $divides i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $by v128)
    (local.set $tableEnd (i32.add (local.get $table) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $divides (f32.ne (local.get $divisor) (f32.const 1)))
    (local.set $by (f32x4.splat (local.get $divisor)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $target) (local.get $end)))
        (local.set $a (v128.load offset=0 (local.get $target)))
        (local.set $b (v128.load offset=16 (local.get $target)))
        (local.set $c (v128.load offset=32 (local.get $target)))
        (local.set $d (v128.load offset=48 (local.get $target)))
        (local.set $entry (local.get $table))
        (block $summed
          (loop $more
            (br_if $summed (i32.ge_u (local.get $entry) (local.get $tableEnd)))
            (local.set $from (i32.add (local.get $target) (i32.load (local.get $entry))))
            (local.set $a (f32x4.add (local.get $a) (v128.load offset=0 (local.get $from))))
            (local.set $b (f32x4.add (local.get $b) (v128.load offset=16 (local.get $from))))
            (local.set $c (f32x4.add (local.get $c) (v128.load offset=32 (local.get $from))))
            (local.set $d (f32x4.add (local.get $d) (v128.load offset=48 (local.get $from))))
            (local.set $entry (i32.add (local.get $entry) (i32.const 4)))
            (br $more)))
        (if (local.get $divides)
          (then
            (local.set $a (f32x4.div (local.get $a) (local.get $by)))
            (local.set $b (f32x4.div (local.get $b) (local.get $by)))
            (local.set $c (f32x4.div (local.get $c) (local.get $by)))
            (local.set $d (f32x4.div (local.get $d) (local.get $by)))))
        (v128.store offset=0 (local.get $target) (local.get $a))
        (v128.store offset=16 (local.get $target) (local.get $b))
        (v128.store offset=32 (local.get $target) (local.get $c))
        (v128.store offset=48 (local.get $target) (local.get $d))
        (local.set $target (i32.add (local.get $target) (i32.const 64)))
        (br $next))))

  ;; 4 float32 values to the nearest bfloat16, ties to even: half of the last place is added, and one bit less where the last kept bit
  ;; is 0; a NaN keeps its upper half and becomes quiet.
  (func $roundToBfloat16 (param $x v128) (result v128)
    (v128.bitselect
      (v128.and
        (v128.or (local.get $x) (i32x4.splat (i32.const 0x00400000)))
        (i32x4.splat (i32.const 0xffff0000)))
      (v128.and
        (i32x4.add
          (i32x4.add (local.get $x) (i32x4.splat (i32.const 0x7fff)))
          (v128.and (i32x4.shr_u (local.get $x) (i32.const 16)) (i32x4.splat (i32.const 1))))
        (i32x4.splat (i32.const 0xffff0000)))
      (i32x4.gt_u
        (v128.and (local.get $x) (i32x4.splat (i32.const 0x7fffffff)))
        (i32x4.splat (i32.const 0x7f800000)))))

  ;; The same with each sum rounded to bfloat16.
  (func (export "accumulateBfloat16")
    (param $target i32) (param $end i32) (param $table i32) (param $count i32) (param $divisor f32)
    (local $entry i32) (local $tableEnd i32) (local $from i32) (local $divides i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $by v128)
    (local.set $tableEnd (i32.add (local.get $table) (i32.shl (local.get $count) (i32.const 2))))
    (local.set $divides (f32.ne (local.get $divisor) (f32.const 1)))
    (local.set $by (f32x4.splat (local.get $divisor)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $target) (local.get $end)))
        (local.set $a (v128.load offset=0 (local.get $target)))
        (local.set $b (v128.load offset=16 (local.get $target)))
        (local.set $c (v128.load offset=32 (local.get $target)))
        (local.set $d (v128.load offset=48 (local.get $target)))
        (local.set $entry (local.get $table))
        (block $summed
          (loop $more
            (br_if $summed (i32.ge_u (local.get $entry) (local.get $tableEnd)))
            (local.set $from (i32.add (local.get $target) (i32.load (local.get $entry))))
            (local.set $a (call $roundToBfloat16 (f32x4.add (local.get $a) (v128.load offset=0 (local.get $from)))))
            (local.set $b (call $roundToBfloat16 (f32x4.add (local.get $b) (v128.load offset=16 (local.get $from)))))
            (local.set $c (call $roundToBfloat16 (f32x4.add (local.get $c) (v128.load offset=32 (local.get $from)))))
            (local.set $d (call $roundToBfloat16 (f32x4.add (local.get $d) (v128.load offset=48 (local.get $from)))))
            (local.set $entry (i32.add (local.get $entry) (i32.const 4)))
            (br $more)))
        (if (local.get $divides)
          (then
            (local.set $a (f32x4.div (local.get $a) (local.get $by)))
            (local.set $b (f32x4.div (local.get $b) (local.get $by)))
            (local.set $c (f32x4.div (local.get $c) (local.get $by)))
            (local.set $d (f32x4.div (local.get $d) (local.get $by)))))
        (v128.store offset=0 (local.get $target) (local.get $a))
        (v128.store offset=16 (local.get $target) (local.get $b))
        (v128.store offset=32 (local.get $target) (local.get $c))
        (v128.store offset=48 (local.get $target) (local.get $d))
        (local.set $target (i32.add (local.get $target) (i32.const 64)))
        (br $next))))

  ;; bfloat16 values at `packed` to float32 values at `target`, 8 at a time. `packed` is the middle of the vector: no value is
  ;; overwritten before it is read.
  (func (export "widen") (param $target i32) (param $end i32) (param $packed i32)
    (local $eight v128)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $target) (local.get $end)))
        (local.set $eight (v128.load align=2 (local.get $packed)))
        (v128.store offset=0 (local.get $target)
          (i32x4.shl (i32x4.extend_low_i16x8_u (local.get $eight)) (i32.const 16)))
        (v128.store offset=16 (local.get $target)
          (i32x4.shl (i32x4.extend_high_i16x8_u (local.get $eight)) (i32.const 16)))
        (local.set $target (i32.add (local.get $target) (i32.const 32)))
        (local.set $packed (i32.add (local.get $packed) (i32.const 16)))
        (br $next))))

  ;; 1 when no value is NaN or infinite, 4 values at a time: the largest exponent and fraction bits stay below those of infinity.
  (func (export "allFinite") (param $values i32) (param $end i32) (result i32)
    (local $most v128) (local $mask v128)
    (local.set $mask (i32x4.splat (i32.const 0x7fffffff)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $values) (local.get $end)))
        (local.set $most (i32x4.max_u (local.get $most) (v128.and (v128.load (local.get $values)) (local.get $mask))))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next)))
    (i32x4.all_true (i32x4.lt_u (local.get $most) (i32x4.splat (i32.const 0x7f800000)))))

  ;; sum + v0 * v0 + v1 * v1 + ..., added one after the other in float64, 4 values at a time.
  (func (export "sumOfSquares") (param $values i32) (param $end i32) (param $sum f64) (result f64)
    (local $four v128) (local $low v128) (local $high v128)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $values) (local.get $end)))
        (local.set $four (v128.load (local.get $values)))
        (local.set $low (f64x2.promote_low_f32x4 (local.get $four)))
        (local.set $high (f64x2.promote_low_f32x4
          (i8x16.shuffle 8 9 10 11 12 13 14 15 8 9 10 11 12 13 14 15 (local.get $four) (local.get $four))))
        (local.set $low (f64x2.mul (local.get $low) (local.get $low)))
        (local.set $high (f64x2.mul (local.get $high) (local.get $high)))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 0 (local.get $low))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 1 (local.get $low))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 0 (local.get $high))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 1 (local.get $high))))
        (local.set $values (i32.add (local.get $values) (i32.const 16)))
        (br $next)))
    (local.get $sum))

  ;; The updates of the optimisers, 2 values at a time. Vectors other than the parameters are given as their distance from them.
  ;; Each also returns sum + g0 * g0 + g1 * g1 + ... of the unscaled gradients: the additions wait for each other, which costs
  ;; nothing beside divisions and square roots.

  ;; p -= rate * (g * scale + decay * p).
  (func (export "sgd")
    (param $parameters i32) (param $end i32) (param $gradients i32)
    (param $rate f64) (param $scale f64) (param $decay f64) (param $sum f64) (result f64)
    (local $p v128) (local $g v128) (local $square v128) (local $rates v128) (local $scales v128) (local $decays v128)
    (local.set $rates (f64x2.splat (local.get $rate)))
    (local.set $scales (f64x2.splat (local.get $scale)))
    (local.set $decays (f64x2.splat (local.get $decay)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g
          (f64x2.promote_low_f32x4 (v128.load64_zero (i32.add (local.get $parameters) (local.get $gradients)))))
        (local.set $square (f64x2.mul (local.get $g) (local.get $g)))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 0 (local.get $square))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 1 (local.get $square))))
        (local.set $p (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $parameters))))
        (v128.store64_lane 0 (local.get $parameters)
          (f32x4.demote_f64x2_zero
            (f64x2.sub
              (local.get $p)
              (f64x2.mul
                (local.get $rates)
                (f64x2.add
                  (f64x2.mul (local.get $g) (local.get $scales))
                  (f64x2.mul (local.get $decays) (local.get $p)))))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 8)))
        (br $next)))
    (local.get $sum))

  ;; g' = g * scale + decay * p; v = momentum * v + g'; p -= rate * (nesterov ? g' + momentum * v : v).
  (func (export "momentum")
    (param $parameters i32) (param $end i32) (param $gradients i32) (param $velocity i32)
    (param $rate f64) (param $scale f64) (param $decay f64) (param $momentum f64) (param $nesterov i32)
    (param $sum f64) (result f64)
    (local $p v128) (local $g v128) (local $square v128) (local $v v128) (local $at i32)
    (local $rates v128) (local $scales v128) (local $decays v128) (local $momenta v128)
    (local.set $rates (f64x2.splat (local.get $rate)))
    (local.set $scales (f64x2.splat (local.get $scale)))
    (local.set $decays (f64x2.splat (local.get $decay)))
    (local.set $momenta (f64x2.splat (local.get $momentum)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g
          (f64x2.promote_low_f32x4 (v128.load64_zero (i32.add (local.get $parameters) (local.get $gradients)))))
        (local.set $square (f64x2.mul (local.get $g) (local.get $g)))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 0 (local.get $square))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 1 (local.get $square))))
        (local.set $p (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $parameters))))
        (local.set $g
          (f64x2.add (f64x2.mul (local.get $g) (local.get $scales)) (f64x2.mul (local.get $decays) (local.get $p))))
        (local.set $at (i32.add (local.get $parameters) (local.get $velocity)))
        (local.set $v
          (f64x2.add
            (f64x2.mul (local.get $momenta) (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $at))))
            (local.get $g)))
        (v128.store64_lane 0 (local.get $at) (f32x4.demote_f64x2_zero (local.get $v)))
        (if (local.get $nesterov)
          (then (local.set $v (f64x2.add (local.get $g) (f64x2.mul (local.get $momenta) (local.get $v))))))
        (v128.store64_lane 0 (local.get $parameters)
          (f32x4.demote_f64x2_zero (f64x2.sub (local.get $p) (f64x2.mul (local.get $rates) (local.get $v)))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 8)))
        (br $next)))
    (local.get $sum))

  ;; g' = g * scale + l2 * p; m = beta1 * m + rest1 * g'; v = beta2 * v + (rest2 * g') * g';
  ;; p = p * keep - (stepSize * m) / (sqrt(v) / correction + epsilon).
  (func (export "adam")
    (param $parameters i32) (param $end i32) (param $gradients i32) (param $first i32) (param $second i32)
    (param $scale f64) (param $l2 f64) (param $keep f64) (param $beta1 f64) (param $beta2 f64)
    (param $stepSize f64) (param $correction f64) (param $epsilon f64) (param $sum f64) (result f64)
    (local $p v128) (local $g v128) (local $square v128) (local $m v128) (local $v v128) (local $atFirst i32) (local $atSecond i32)
    (local $scales v128) (local $l2s v128) (local $keeps v128) (local $beta1s v128) (local $rest1s v128) (local $beta2s v128)
    (local $rest2s v128) (local $stepSizes v128) (local $corrections v128) (local $epsilons v128)
    (local.set $scales (f64x2.splat (local.get $scale)))
    (local.set $l2s (f64x2.splat (local.get $l2)))
    (local.set $keeps (f64x2.splat (local.get $keep)))
    (local.set $beta1s (f64x2.splat (local.get $beta1)))
    (local.set $rest1s (f64x2.splat (f64.sub (f64.const 1) (local.get $beta1))))
    (local.set $beta2s (f64x2.splat (local.get $beta2)))
    (local.set $rest2s (f64x2.splat (f64.sub (f64.const 1) (local.get $beta2))))
    (local.set $stepSizes (f64x2.splat (local.get $stepSize)))
    (local.set $corrections (f64x2.splat (local.get $correction)))
    (local.set $epsilons (f64x2.splat (local.get $epsilon)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $parameters) (local.get $end)))
        (local.set $g
          (f64x2.promote_low_f32x4 (v128.load64_zero (i32.add (local.get $parameters) (local.get $gradients)))))
        (local.set $square (f64x2.mul (local.get $g) (local.get $g)))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 0 (local.get $square))))
        (local.set $sum (f64.add (local.get $sum) (f64x2.extract_lane 1 (local.get $square))))
        (local.set $p (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $parameters))))
        (local.set $g
          (f64x2.add (f64x2.mul (local.get $g) (local.get $scales)) (f64x2.mul (local.get $l2s) (local.get $p))))
        (local.set $atFirst (i32.add (local.get $parameters) (local.get $first)))
        (local.set $atSecond (i32.add (local.get $parameters) (local.get $second)))
        (local.set $m
          (f64x2.add
            (f64x2.mul (local.get $beta1s) (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $atFirst))))
            (f64x2.mul (local.get $rest1s) (local.get $g))))
        (local.set $v
          (f64x2.add
            (f64x2.mul (local.get $beta2s) (f64x2.promote_low_f32x4 (v128.load64_zero (local.get $atSecond))))
            (f64x2.mul (f64x2.mul (local.get $rest2s) (local.get $g)) (local.get $g))))
        (v128.store64_lane 0 (local.get $atFirst) (f32x4.demote_f64x2_zero (local.get $m)))
        (v128.store64_lane 0 (local.get $atSecond) (f32x4.demote_f64x2_zero (local.get $v)))
        (v128.store64_lane 0 (local.get $parameters)
          (f32x4.demote_f64x2_zero
            (f64x2.sub
              (f64x2.mul (local.get $p) (local.get $keeps))
              (f64x2.div
                (f64x2.mul (local.get $stepSizes) (local.get $m))
                (f64x2.add
                  (f64x2.div (f64x2.sqrt (local.get $v)) (local.get $corrections))
                  (local.get $epsilons))))))
        (local.set $parameters (i32.add (local.get $parameters) (i32.const 8)))
        (br $next)))
    (local.get $sum))
)
