D="qwen3-4b"; export P=1
./main_axcl_aarch64 \
--system_prompt "You are \"it\"." --template_filename_axmodel "${D}/qwen3_p128_l%d_together.axmodel" \
--axmodel_num=36 --filename_post_axmodel $D/'qwen3_post.axmodel' --filename_tokens_embed e.bin \
--tokens_embed_num 151936 --tokens_embed_size 2560 --port $P # end
