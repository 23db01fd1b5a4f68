//! The two passes of the inverse DCT, written once for every width of vectors.

/// The transform for one vector width; all its instructions work within 128-bit lanes.
macro_rules! transform {
    (
        $vector:ty, $amount:ty, $features:literal, $madd:ident, $add16:ident, $sub16:ident, $add:ident,
        $sub:ident, $shift:ident, $low:ident, $high:ident, $low32:ident, $high32:ident,
        $low64:ident, $high64:ident, $pack:ident, $splat:ident, $zero:ident
    ) => {
        /// `x` and `y` side by side as 16-bit pairs, low and high half.
        #[inline]
        #[target_feature(enable = $features)]
        fn pair(x: $vector, y: $vector) -> [$vector; 2] {
            [$low(x, y), $high(x, y)]
        }

        /// `a * x + b * y` of pairs, in 32 bits.
        #[inline]
        #[target_feature(enable = $features)]
        fn dot(pairs: [$vector; 2], a: i16, b: i16) -> [$vector; 2] {
            let factors = $splat(i32::from(b) << 16 | i32::from(a as u16));
            [$madd(pairs[0], factors), $madd(pairs[1], factors)]
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn plus(x: [$vector; 2], y: [$vector; 2]) -> [$vector; 2] {
            [$add(x[0], y[0]), $add(x[1], y[1])]
        }

        #[inline]
        #[target_feature(enable = $features)]
        fn minus(x: [$vector; 2], y: [$vector; 2]) -> [$vector; 2] {
            [$sub(x[0], y[0]), $sub(x[1], y[1])]
        }

        /// 16-bit values times 2^13 in 32 bits: widened into the high half, then down by 3.
        #[inline]
        #[target_feature(enable = $features)]
        fn scaled(x: $vector) -> [$vector; 2] {
            let [low, high] = pair($zero(), x);
            [$shift::<3>(low), $shift::<3>(high)]
        }

        /// One transform down the eight rows, in all lanes at once.
        #[inline]
        #[target_feature(enable = $features)]
        fn pass<const SHIFT: $amount>(d: [$vector; 8]) -> [$vector; 8] {
            let middle = pair(d[2], d[6]);
            let (even2, even3) = (dot(middle, 4433, -10704), dot(middle, 10703, 4433));
            let (even0, even1) = (scaled($add16(d[0], d[4])), scaled($sub16(d[0], d[4])));
            let round = [$splat(1 << (SHIFT - 1)); 2];
            let (even0, even1) = (plus(even0, round), plus(even1, round));
            let even =
                [plus(even0, even3), plus(even1, even2), minus(even1, even2), minus(even0, even3)];

            let sums = pair($add16(d[7], d[3]), $add16(d[5], d[1]));
            let (odd3, odd4) = (dot(sums, -6436, 9633), dot(sums, 9633, 6437));
            let (outer, inner) = (pair(d[7], d[1]), pair(d[5], d[3]));
            let odd = [
                plus(dot(outer, -7373, 4926), odd4),
                plus(dot(inner, -20995, 4177), odd3),
                plus(dot(inner, -4176, -20995), odd4),
                plus(dot(outer, -4927, -7373), odd3),
            ];
            let mut out = [d[0]; 8];
            for k in 0..4 {
                let (sum, difference) = (plus(even[k], odd[k]), minus(even[k], odd[k]));
                out[k] = $pack($shift::<SHIFT>(sum[0]), $shift::<SHIFT>(sum[1]));
                out[7 - k] = $pack($shift::<SHIFT>(difference[0]), $shift::<SHIFT>(difference[1]));
            }
            out
        }

        /// Rows become columns within each lane.
        #[inline]
        #[target_feature(enable = $features)]
        fn transpose(r: [$vector; 8]) -> [$vector; 8] {
            let [a0, a1, a2, a3] =
                [$low(r[0], r[1]), $low(r[2], r[3]), $low(r[4], r[5]), $low(r[6], r[7])];
            let [b0, b1, b2, b3] =
                [$high(r[0], r[1]), $high(r[2], r[3]), $high(r[4], r[5]), $high(r[6], r[7])];
            let [c0, c1, c2, c3] =
                [$low32(a0, a1), $low32(a2, a3), $high32(a0, a1), $high32(a2, a3)];
            let [d0, d1, d2, d3] =
                [$low32(b0, b1), $low32(b2, b3), $high32(b0, b1), $high32(b2, b3)];
            [
                $low64(c0, c1),
                $high64(c0, c1),
                $low64(c2, c3),
                $high64(c2, c3),
                $low64(d0, d1),
                $high64(d0, d1),
                $low64(d2, d3),
                $high64(d2, d3),
            ]
        }

        /// Both passes over dequantised rows; rows of samples come back, zero in the middle.
        #[inline]
        #[target_feature(enable = $features)]
        fn both_passes(rows: [$vector; 8]) -> [$vector; 8] {
            transpose(pass::<18>(transpose(pass::<11>(rows))))
        }
    };
}
