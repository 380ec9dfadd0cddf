    // One group of 32 weights for each of ROWS rows, each unpacked once, times COLUMNS tokens.
#repeat c COLUMNS
    let a$c = x$c + group * 8u;
    let v$c_0 = x[a$c]; let v$c_1 = x[a$c + 1u]; let v$c_2 = x[a$c + 2u]; let v$c_3 = x[a$c + 3u];
    let v$c_4 = x[a$c + 4u]; let v$c_5 = x[a$c + 5u]; let v$c_6 = x[a$c + 6u]; let v$c_7 = x[a$c + 7u];
    var total$c = 0.0;
    if (HAS_MIN) { total$c = dot(((v$c_0 + v$c_1) + (v$c_2 + v$c_3)) + ((v$c_4 + v$c_5) + (v$c_6 + v$c_7)), vec4f(1.0)); }
#end
#repeat i ROWS
    {
      let w = unpack(mainBase, sideBase, row$i + group);
#repeat c COLUMNS
      sum$i_$c += w.d * (((dot(w.q[0], v$c_0) + dot(w.q[1], v$c_1)) + (dot(w.q[2], v$c_2) + dot(w.q[3], v$c_3)))
        + ((dot(w.q[4], v$c_4) + dot(w.q[5], v$c_5)) + (dot(w.q[6], v$c_6) + dot(w.q[7], v$c_7)))) + w.m * total$c;
#end
    }
#end
